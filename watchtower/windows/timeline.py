"""Sub-windows in time: one a second for the last ten minutes, one for every ten seconds before that.

A window is read by listing the sub-windows inside it, so it slides by itself, late facts land where they belong,
and an hour costs 600 + 300 entries. Seconds are counted from the first fact, not from the clock's zero: shifting a
whole trace in time changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import itemgetter
from typing import Final, Generic, Protocol, Self, TypeVar

FINE_SECONDS: Final = 600
"""How long single seconds are kept apart."""
COARSE_SECONDS: Final = 10


class SubWindow(Protocol):
    """What a timeline holds: anything that can take in another of its kind."""

    def take_in(self, other: Self) -> None: ...


S = TypeVar("S", bound=SubWindow)


class Timeline(Generic[S]):
    """Sub-windows by time. ``version`` changes with every write, so that readers may cache."""

    def __init__(self, make: Callable[[], S], longest_seconds: float) -> None:
        self._make = make
        self._fine: dict[int, S] = {}
        self._coarse: dict[int, S] = {}
        self._kept = math.ceil(longest_seconds) + COARSE_SECONDS
        self._epoch: float | None = None
        self._newest = 0
        self.version = 0

    def at(self, time: float) -> S | None:
        """The sub-window that holds ``time`` (CLOCK_BOOTTIME seconds), to write to; None when that is long past."""
        if self._epoch is None:
            self._epoch = time
        second = math.floor(time - self._epoch)
        if second > self._newest:
            self._newest = second
            self._age()
        if second <= self._newest - self._kept:
            return None
        self.version += 1
        if second <= self._newest - FINE_SECONDS:
            return self._coarse.setdefault(second // COARSE_SECONDS, self._make())
        held = self._fine.get(second)
        if held is None:
            held = self._fine[second] = self._make()
        return held

    def between(self, after: float, until: float) -> list[S]:
        """Every sub-window that begins at or after ``after`` and holds nothing later than the second of ``until``."""
        return [part for _, part in self.listed(after, until)]

    def listed(self, after: float, until: float) -> list[tuple[float, S]]:
        """The same, in order of time, each with its beginning."""
        epoch = self._epoch or 0.0
        parts = [(epoch + block * COARSE_SECONDS, part) for block, part in self._coarse.items()]
        parts += [(epoch + second, part) for second, part in self._fine.items()]
        return sorted((part for part in parts if after <= part[0] <= until), key=itemgetter(0))

    def begin(self, after: float) -> float:
        """Where the first sub-window at or after ``after`` begins."""
        return after if self._epoch is None else self._epoch + math.ceil(after - self._epoch)

    def __len__(self) -> int:
        return len(self._fine) + len(self._coarse)

    def _age(self) -> None:
        """Fold seconds that left the fine range into their ten-second block; forget what is too old."""
        for second in sorted(second for second in self._fine if second <= self._newest - FINE_SECONDS):
            part = self._fine.pop(second)
            if second > self._newest - self._kept:
                self._coarse.setdefault(second // COARSE_SECONDS, self._make()).take_in(part)
        for block in [block for block in self._coarse if (block + 1) * COARSE_SECONDS <= self._newest - self._kept]:
            del self._coarse[block]
