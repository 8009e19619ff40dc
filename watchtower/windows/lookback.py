"""The past of a timeline, added up once so that every window that ends now is a look-up, however many are read.

Whatever is written to the timeline makes it void; between two writes nothing is computed twice. As far back as was
asked last time is added up at first, and everything that is kept as soon as somebody asks for more: rules ask for the
same few windows at every tick, and these should not cost an hour.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Generic, TypeVar

from watchtower.windows.timeline import SubWindow, Timeline

S = TypeVar("S", bound=SubWindow)
P = TypeVar("P")


class Lookback(Generic[S, P]):
    """``add_up`` makes of sub-windows in order of time the past that ends with the last of them."""

    def __init__(self, timeline: Timeline[S], add_up: Callable[[list[S]], P]) -> None:
        self._timeline = timeline
        self._add_up = add_up
        self._version = -1
        self._until = self._from = self._asked = math.inf
        self._begins: list[float] = []
        self._past = add_up([])

    def since(self, after: float, until: float) -> tuple[P, int]:
        """The past that ends at ``until``, and which of its sub-windows is the first to begin at or after ``after``."""
        if self._version != self._timeline.version or self._until != until:
            self._version, self._until = self._timeline.version, until
            self._look_back(until - self._asked - 1.0)
            self._asked = 0.0
        if after < self._from:
            self._look_back(-math.inf)
        if until - after > self._asked:
            self._asked = until - after
        return self._past, bisect_left(self._begins, after)

    def _look_back(self, after: float) -> None:
        parts = self._timeline.listed(after, self._until)
        self._from = after
        self._begins = [begin for begin, _ in parts]
        self._past = self._add_up([part for _, part in parts])
