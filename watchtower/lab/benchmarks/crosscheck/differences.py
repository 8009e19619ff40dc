"""The same work, measured by a tool, by us and by the engine: who differs from whom, by the same definition.

The promise is about us and a tool: mean, median and 95th percentile within 5 %, counts exact. Histograms are held to
their buckets: the tool's quantile has to lie in the bucket that ours is in. The engine's own figures stand beside them,
for whoever asks what is on the way from its core to the client.
"""

from __future__ import annotations

from typing import Final

import msgspec

from watchtower.lab.benchmarks.budgets import Budget
from watchtower.lab.benchmarks.crosscheck.measured import STATISTICS, Definition, Figures

TOLERANCE_PERCENT: Final = 5.0
DIRECT: Final = "direct"
RELAYED: Final = "through the relay"
READINGS: Final = "readings"
HISTOGRAMS: Final = "histograms"
RECORDING: Final = "recording"
DOORS: Final = (READINGS, HISTOGRAMS, RECORDING)
"""Where the product shows figures."""


class CrosscheckLeg(msgspec.Struct, frozen=True, kw_only=True):
    """One tool's work on one route, once."""

    tool: str
    route: str
    way: str
    """DIRECT or RELAYED."""
    round: int
    theirs: Figures
    engine: Figures
    ours: dict[str, Figures] = {}
    """By door; empty on the direct way."""


class FigureRow(msgspec.Struct, frozen=True, kw_only=True):
    """One statistic, everybody's."""

    tool: str
    route: str
    round: int
    definition: Definition
    statistic: str
    door: str
    theirs_direct: float | None
    theirs: float
    ours: float | tuple[float, float] | None
    """Seconds, or the bucket."""
    engine: float | tuple[float, float] | None

    @property
    def difference_percent(self) -> float | None:
        """Ours over theirs; of a bucket, how far theirs is outside of it."""
        if self.ours is None or self.theirs <= 0:
            return None
        if isinstance(self.ours, tuple):
            low, high = self.ours
            nearest = min(max(self.theirs, low), high)
            return (nearest / self.theirs - 1) * 100
        return (self.ours / self.theirs - 1) * 100


class CountRow(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be equal to the last one."""

    tool: str
    route: str
    round: int
    what: str
    theirs: int
    ours: int
    engine: int


def rows(legs: list[CrosscheckLeg]) -> list[FigureRow]:
    """Of every leg through the relay, in their order."""
    found = []
    for leg in legs:
        for door, ours in leg.ours.items():
            for definition, mine in ours.distributions.items():
                theirs = leg.theirs.distributions.get(definition)
                if theirs is None:
                    continue
                for statistic in STATISTICS:
                    known = statistic in theirs.statistics and (
                        door != HISTOGRAMS or statistic in mine.statistics or statistic in mine.buckets
                    )
                    if not known:
                        continue
                    found.append(
                        FigureRow(
                            tool=leg.tool,
                            route=leg.route,
                            round=leg.round,
                            definition=definition,
                            statistic=statistic,
                            door=door,
                            theirs_direct=_direct(legs, leg, definition, statistic),
                            theirs=theirs.statistics[statistic],
                            ours=_value(ours, definition, statistic),
                            engine=_value(leg.engine, definition, statistic),
                        )
                    )
    return found


def _value(figures: Figures, definition: Definition, statistic: str) -> float | tuple[float, float] | None:
    distribution = figures.distributions.get(definition)
    if distribution is None:
        return None
    exact = distribution.statistics.get(statistic)
    return distribution.buckets.get(statistic) if exact is None else exact


def _direct(legs: list[CrosscheckLeg], leg: CrosscheckLeg, definition: Definition, statistic: str) -> float | None:
    for other in legs:
        if (other.tool, other.route, other.round, other.way) == (leg.tool, leg.route, leg.round, DIRECT):
            distribution = other.theirs.distributions.get(definition)
            return None if distribution is None else distribution.statistics.get(statistic)
    return None


def counts(legs: list[CrosscheckLeg]) -> list[CountRow]:
    found = []
    for leg in legs:
        if leg.ours:
            ours = leg.ours[RECORDING]
            for what in ("requests", "output_tokens"):
                theirs, mine, engine = (getattr(figures, what) for figures in (leg.theirs, ours, leg.engine))
                found.append(
                    CountRow(
                        tool=leg.tool, route=leg.route, round=leg.round, what=what, theirs=theirs, ours=mine,
                        engine=engine,
                    )
                )  # fmt: skip
    return found


def _untold(ours: dict[str, Figures]) -> int:
    """First tokens and gaps that were recorded, and are in no histogram (or stand there twice)."""
    shown, recorded = ours[HISTOGRAMS], ours[RECORDING]
    return abs(recorded.requests - shown.requests) + abs(recorded.gaps - shown.gaps)


def budgets(legs: list[CrosscheckLeg]) -> list[Budget]:
    """For each tool and route: the worst difference of each door, all counts, and what the histograms lack."""
    found = []
    every, numbers = rows(legs), counts(legs)
    for tool, route in dict.fromkeys((leg.tool, leg.route) for leg in legs):
        name = f"{tool}, {route}"
        for door in DOORS:
            of_door = [row for row in every if (row.tool, row.route, row.door) == (tool, route, door)]
            if not of_door:
                continue
            unknown = [row for row in of_door if row.difference_percent is None]
            differences = [abs(row.difference_percent or 0.0) for row in of_door]
            found.append(
                Budget(
                    what=f"{name}: worst difference of our {door}",
                    limit=TOLERANCE_PERCENT,
                    measured=None if unknown else max(differences),
                    unit="%",
                    because=f"{len(unknown)} of {len(of_door)} figures are unknown" if unknown else "",
                )
            )
        wrong = sum(
            abs(number.ours - number.theirs) for number in numbers if (number.tool, number.route) == (tool, route)
        )
        found.append(Budget(what=f"{name}: requests and tokens that differ", limit=0, measured=wrong, unit=""))
        untold = sum(_untold(leg.ours) for leg in legs if leg.ours and (leg.tool, leg.route) == (tool, route))
        found.append(Budget(what=f"{name}: latencies that our histograms lack", limit=0, measured=untold, unit=""))
    return found
