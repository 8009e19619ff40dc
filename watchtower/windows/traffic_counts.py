"""Counts of a sub-window that are no latencies: what was asked and given, and how well the relay could see."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import add, attrgetter
from typing import Final

from watchtower.vocabulary.endings import COUNTS_AS, CountsAs
from watchtower.vocabulary.facts import Closed, Ending

Areas = dict[int, tuple[float, float]]
"""Worker → (exchange-seconds, seconds observed)."""


class TrafficSlot:
    """One sub-window of counts."""

    __slots__ = (
        "answered_bytes",
        "asked_bytes",
        "ended",
        "failed",
        "heard",
        "lagged",
        "open_area",
        "opened",
        "seconds",
        "tokens",
        "unobserved",
        "unsized",
        "worst_lag",
    )

    def __init__(self) -> None:
        self.tokens = 0
        self.opened = 0
        self.asked_bytes = 0
        """Of the requests opened here."""
        self.answered_bytes = 0
        """Of the requests whose prompt was done here: first token, or the answer in one piece."""
        self.unsized = 0
        """Opened without telling a length (chunked): then the bytes are too few."""
        self.ended = 0
        """Exchanges whose end tells something about the engine (``vocabulary.endings``)."""
        self.failed = 0
        self.unobserved = 0
        """Beside them, those whose answer passed in a form that is not read."""
        self.heard = 0
        """News of exchanges."""
        self.seconds = 0
        """Sub-windows with a frame in them: 1 for one of a second, their sum after merging."""
        self.lagged = 0
        """Of these, those in which the relay measured itself."""
        self.worst_lag = 0.0
        self.open_area: Areas = {}

    def watched(self, worker: int, open_exchanges: int, seconds: float) -> None:
        """``open_exchanges`` were open for the last ``seconds``."""
        area, observed = self.open_area.get(worker, (0.0, 0.0))
        self.open_area[worker] = (area + open_exchanges * seconds, observed + seconds)

    def lag(self, seconds: float, material: bool) -> None:
        """A relay worker's loop was late by ``seconds``; ``material``: too late for its latencies to count."""
        self.seconds = max(1, self.seconds)
        if material:
            self.lagged = max(1, self.lagged)
            self.worst_lag = max(self.worst_lag, seconds)

    def asked(self, request_bytes: int) -> None:
        """A request was forwarded; 0 bytes: it told no length."""
        self.opened += 1
        self.asked_bytes += max(0, request_bytes)
        self.unsized += request_bytes <= 0

    def closed(self, closed: Closed) -> None:
        counts = COUNTS_AS[closed.ending]
        self.ended += counts is not CountsAs.NEITHER
        self.failed += counts is CountsAs.FAILURE
        self.unobserved += closed.ending is Ending.UNOBSERVED

    def take_in(self, other: TrafficSlot) -> None:
        for name, total in zip(_SUMMED, map(add, _sums(self), _sums(other)), strict=True):
            setattr(self, name, total)
        self.worst_lag = max(self.worst_lag, other.worst_lag)
        self.open_area = _joined(self.open_area, other.open_area)

    def mean_open(self) -> float | None:
        """Time-weighted mean over each worker, added up; None when no worker was watched."""
        means = [area / seconds for area, seconds in self.open_area.values() if seconds > 0]
        return sum(means) if means else None


class TrafficPast:
    """Sub-windows in order of time, added up from the last of them backwards: entry ``i`` is number ``i`` with all
    after it, and the one after the last is empty."""

    def __init__(self, parts: Sequence[TrafficSlot]) -> None:
        backwards = parts[::-1]
        self._sums = list(accumulate(map(_sums, backwards), _added, initial=(0,) * len(_SUMMED)))
        self._lags = list(accumulate((part.worst_lag for part in backwards), max, initial=0.0))
        nothing: Areas = {}
        self._areas = list(accumulate((part.open_area for part in backwards), _joined, initial=nothing))

        self._wholes: dict[int, TrafficSlot] = {}

    def __getitem__(self, start: int) -> TrafficSlot:
        whole = self._wholes.get(start)
        if whole is not None:
            return whole
        whole = self._wholes[start] = TrafficSlot()
        for name, total in zip(_SUMMED, self._sums[-1 - start], strict=True):
            setattr(whole, name, total)
        whole.worst_lag, whole.open_area = self._lags[-1 - start], self._areas[-1 - start]
        return whole


_SUMMED: Final = (
    *("tokens", "opened", "asked_bytes", "answered_bytes", "unsized"),
    *("ended", "failed", "unobserved", "heard", "seconds", "lagged"),
)
_sums: Final = attrgetter(*_SUMMED)


def _added(some: Sequence[int], more: Sequence[int]) -> tuple[int, ...]:
    return tuple(map(add, some, more))


def _joined(areas: Areas, more: Areas) -> Areas:
    """Both, by worker."""
    both = dict(more)
    for worker, (area, seconds) in areas.items():
        known = both.get(worker, (0.0, 0.0))
        both[worker] = (known[0] + area, known[1] + seconds)
    return both
