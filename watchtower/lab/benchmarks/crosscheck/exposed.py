"""A scrape of Prometheus text, ours or the engine's: counters and histograms, all series of a family added up."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from watchtower.lab.benchmarks.crosscheck.measured import Buckets


class Scrape:
    """One moment of one process."""

    def __init__(self, text: str) -> None:
        self._families = {family.name: family for family in text_string_to_metric_families(text)}

    def total(self, name: str) -> float:
        """Of a counter (without ``_total``) or gauge, over all its labels; 0 where there is none."""
        family = self._families.get(name)
        if family is None:
            return 0.0
        return sum(sample.value for sample in family.samples if sample.name in (name, f"{name}_total"))

    def histogram(self, name: str) -> Buckets | None:
        """None where there is none."""
        family = self._families.get(name)
        if family is None:
            return None
        counts: dict[float, float] = {}
        whole = 0.0
        for sample in family.samples:
            if sample.name == f"{name}_bucket":
                bound = float(sample.labels["le"])
                counts[bound] = counts.get(bound, 0.0) + sample.value
            elif sample.name == f"{name}_sum":
                whole += sample.value
        bounds = tuple(sorted(counts))
        return Buckets(bounds, tuple(counts[bound] for bound in bounds), whole) if bounds else None


def histogram_since(now: Scrape, before: Scrape, name: str) -> Buckets | None:
    """What a histogram took in between two scrapes of one process; None where it has none."""
    buckets = now.histogram(name)
    return None if buckets is None else buckets.since(before.histogram(name))
