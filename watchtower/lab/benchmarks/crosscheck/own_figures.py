"""What the product says of a run, by its three doors: readings, histograms and the recording.

*Readings* are the gauges, the console and what rules judge: they have quantiles, and leave out what the relay saw while
it was late itself. *Histograms* are what Grafana draws: everything, but only as fine as their buckets. The *recording*
keeps what happened to each exchange: it leaves nothing out and rounds nothing, and it alone can tell the mean gap of a
request, and exact counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from watchtower.lab.benchmarks.crosscheck.exposed import Scrape, histogram_since
from watchtower.lab.benchmarks.crosscheck.measured import STATISTICS, Definition, Figures, Latencies
from watchtower.vocabulary.facts import AnyFact, Closed, ExchangeNews, RelayFrame

FAMILIES: Final = {
    Definition.FIRST_TOKEN: "time_to_first_token_seconds",
    Definition.GAP: "inter_token_latency_seconds",
}


def readings_figures(readings: Sequence[Mapping[str, Any]], counted: Figures) -> Figures:
    """``readings`` of ``/api/v1/status``; requests and tokens are those that were ``counted`` elsewhere."""
    known = {reading["name"]: reading for reading in readings}
    found, notes = {}, []
    for definition, family in FAMILIES.items():
        of_family = {name: known[f"{family}.{name}"] for name in STATISTICS}
        unknown = [name for name, reading in of_family.items() if reading["value"] is None]
        for because in dict.fromkeys(of_family[name]["because"] for name in unknown):
            names = ", ".join(name for name in unknown if of_family[name]["because"] == because)
            notes.append(f"{family}: {names} unknown: {because}")
        found[definition] = Latencies(
            count=max(reading["samples"] for reading in of_family.values()),
            statistics={name: reading["value"] for name, reading in of_family.items() if reading["value"] is not None},
        )
        missing = counted.requests - found[definition].count
        if missing:
            notes.append(f"{family}: the readings stand on {found[definition].count} of {counted.requests} requests")
    return Figures(requests=counted.requests, output_tokens=counted.output_tokens, distributions=found, notes=notes)


def histogram_figures(before: Scrape, after: Scrape) -> Figures:
    """Of the daemon's ``/metrics``. What a first read brought beyond one token is not in them."""
    found = {}
    for definition, family in FAMILIES.items():
        buckets = histogram_since(after, before, f"watchtower_{family}")
        found[definition] = Latencies(count=0) if buckets is None else buckets.distribution()
    first, gaps = found[Definition.FIRST_TOKEN].count, found[Definition.GAP].count
    return Figures(requests=first, output_tokens=first + gaps, gaps=gaps, distributions=found)


@dataclass(slots=True)
class _Exchange:
    """What the facts say of one exchange."""

    asked_at: float | None = None
    first_at: float | None = None
    last_at: float | None = None
    first_tokens: int = 0
    later_tokens: int = 0
    estimated: bool = False
    closed: Closed | None = None

    gaps: list[float] = field(default_factory=list)
    """One for each token, seconds."""

    def hear(self, news: ExchangeNews) -> None:
        if news.opened is not None:
            self.asked_at = news.opened.asked_at
        for gap_ns, tokens in zip(news.gaps_ns, news.tokens, strict=True):
            self.gaps.extend([gap_ns / tokens / 1e9] * tokens)
        if news.first_token_at is not None and self.first_at is None:
            self.first_at, self.first_tokens = news.first_token_at, news.first_tokens
        if news.last_token_at is not None:
            self.last_at = news.last_token_at
        self.later_tokens += sum(news.tokens) + news.more_tokens
        self.estimated = self.estimated or news.estimated
        self.closed = news.closed or self.closed

    @property
    def counted(self) -> int:
        return self.first_tokens + self.later_tokens

    @property
    def tokens(self) -> int:
        """The engine's own total, where it tells one; pieces of text are at least as many tokens."""
        total = -1 if self.closed is None else self.closed.completion_tokens
        return total if total >= 0 else self.counted

    @property
    def wait(self) -> float | None:
        """For the first token."""
        return None if self.first_at is None or self.asked_at is None else self.first_at - self.asked_at

    @property
    def mean_gap(self) -> float | None:
        if self.first_at is None or self.last_at is None or not self.later_tokens:
            return None
        return (self.last_at - self.first_at) / self.later_tokens


def recorded_figures(facts: Iterable[AnyFact]) -> Figures:
    """Of the exchanges that were opened in these facts."""
    exchanges: dict[str, _Exchange] = {}
    for fact in facts:
        if isinstance(fact, RelayFrame):
            for news in fact.news:
                if news.opened is not None or news.id in exchanges:
                    exchanges.setdefault(news.id, _Exchange()).hear(news)
    waits = [wait for exchange in exchanges.values() if (wait := exchange.wait) is not None]
    gaps = [gap for exchange in exchanges.values() for gap in exchange.gaps]
    mean_gaps = [gap for exchange in exchanges.values() if (gap := exchange.mean_gap) is not None]
    endings: dict[str, int] = {}
    for exchange in exchanges.values():
        ending = exchange.closed.ending.value if exchange.closed else "open"
        endings[ending] = endings.get(ending, 0) + 1
    notes = [f"endings: {', '.join(f'{count} {ending}' for ending, count in sorted(endings.items()))}"]
    estimated = sum(exchange.estimated for exchange in exchanges.values())
    if estimated:
        pieces = sum(exchange.counted for exchange in exchanges.values())
        notes.append(f"{estimated} of {len(exchanges)} exchanges have estimated counts: {pieces} pieces of text in all")
    return Figures(
        requests=len(exchanges),
        output_tokens=sum(exchange.tokens for exchange in exchanges.values()),
        gaps=sum(exchange.later_tokens for exchange in exchanges.values()),
        distributions={
            Definition.FIRST_TOKEN: latencies(waits),
            Definition.GAP: latencies(gaps),
            Definition.MEAN_GAP: latencies(mean_gaps),
        },
        notes=notes,
    )


def latencies(values: Sequence[float]) -> Latencies:
    """Exact statistics, by linear interpolation as the tools have them."""
    if not values:
        return Latencies(count=0)
    return Latencies(
        count=len(values),
        statistics={
            "mean": float(np.mean(values)),
            "p50": float(np.percentile(values, 50)),
            "p95": float(np.percentile(values, 95)),
        },
    )
