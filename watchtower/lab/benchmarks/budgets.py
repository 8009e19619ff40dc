"""A budget and what was measured against it: met, missed, or not comparable, and never rounded in our favour."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median

import msgspec


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the promise."""

    what: str
    limit: float
    measured: float | None
    """None: it could not be measured in this run; ``because`` says why."""
    unit: str
    """After the number: ``×``, ``ms``, ``MB``, ``%``."""
    because: str = ""
    at_least: bool = False
    """The limit is a floor."""

    @property
    def met(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def as_json(self) -> dict[str, object]:
        return {**msgspec.to_builtins(self), "met": self.met}


def median_of(values: Iterable[float | None]) -> float | None:
    """Over the rounds that have one."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    return median(known) if known else None


def ratio(ours: float, theirs: Iterable[float]) -> float | None:
    """Against the least of ``theirs``; None when there is nothing to divide by (or the noise made it negative)."""
    least = min(theirs, default=0.0)
    return ours / least if least > 0 else None
