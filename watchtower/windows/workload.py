"""Was the engine at work? The load gate of everything that compares GPUs.

GPUs of an idle engine differ for a hundred reasons that are nobody's fault. A second counts as worked when any worker
had a request for work under way in it, read or not. (Workers report once a second at least, so a report speaks for the
seconds since the last.)
"""

from __future__ import annotations

import math
from typing import Final

from watchtower.vocabulary.facts import RelayFrame

LONGEST_REPORT_SECONDS: Final = 3.0
"""A worker that was silent for longer does not speak for the time in between."""


class Workload:
    """Worked seconds, whoever of the workers had the work."""

    def __init__(self, longest_seconds: float) -> None:
        self._longest = longest_seconds
        self._last: dict[int, tuple[float, int]] = {}
        self._worked: set[int] = set()
        self._swept = -math.inf

    def frame(self, frame: RelayFrame) -> None:
        before, was_open = self._last.get(frame.worker, (frame.at, 0))
        at_work = frame.open_exchanges + frame.unread
        self._last[frame.worker] = (frame.at, at_work)
        if frame.at < before:
            return
        if was_open > 0 and frame.at - before <= LONGEST_REPORT_SECONDS:
            self._worked.update(range(math.floor(before), math.floor(frame.at) + 1))
        elif at_work > 0 or frame.news:
            self._worked.add(math.floor(frame.at))
        if frame.at - self._swept > self._longest:
            self._swept = frame.at
            self._worked = {second for second in self._worked if second > frame.at - 2 * self._longest}

    def ratio(self, over: float, now: float) -> float:
        """Share of the whole seconds inside the window that were worked. The present second is not over yet."""
        first, last = math.ceil(now - over), math.floor(now)
        return sum(second in self._worked for second in range(first, last)) / max(1, last - first)
