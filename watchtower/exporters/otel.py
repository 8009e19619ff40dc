"""Our metrics as OTLP data: the same families that a scrape reads, histograms as exponential ones from our own bins.

Nothing is recorded a second time: the bins of the windows are those of the exponential histogram of OpenTelemetry at
scale 6, so an export copies counts. Everything is cumulative since the start of the daemon: a batch that the collector
missed costs resolution, never a count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from watchtower.board import Board
from watchtower.exporters.conventions import SCHEMA_URL, Mapped, attribute, mapped
from watchtower.vocabulary.histograms import HistogramTotals
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.metrics import METRICS

SCALE = 6
"""Of ``windows.histogram``; a test holds the two together."""
BASE = 2.0 ** (1 / (1 << SCALE))


def resource(board: Board) -> Resource:
    """Who speaks; ``OTEL_RESOURCE_ATTRIBUTES`` adds to it."""
    return Resource.create(
        {
            "service.name": "watchtower",
            "service.version": board.version,
            "service.instance.id": board.target,
            "watchtower.target": board.target,
            "watchtower.mode": board.mode,
            "watchtower.profile": board.profile,
        }
    )


def scope(board: Board) -> InstrumentationScope:
    return InstrumentationScope("watchtower", board.version, SCHEMA_URL)


def metrics_data(board: Board, collectors: Iterable[Collector], who: Resource, now: Instant) -> MetricsData:
    """Everything that is known now."""
    begun, at = _nanoseconds(board.started.wall), _nanoseconds(now.wall)
    metrics = [
        *_numbers((family for collector in collectors for family in collector.collect()), begun, at),
        *_histograms(board, begun, at),
    ]
    scoped = ScopeMetrics(scope(board), metrics, SCHEMA_URL)
    return MetricsData([ResourceMetrics(who, [scoped], SCHEMA_URL)])


def _numbers(families: Iterable[Family], begun: int, at: int) -> Iterator[Metric]:
    merged: dict[str, tuple[Mapped, Family, list[NumberDataPoint]]] = {}
    for family in families:
        row = mapped(family.name)
        if row is None or family.type == "histogram":
            continue
        _, _, points = merged.setdefault(row.name, (row, family, []))
        for sample in family.samples:
            labels = {attribute(row, label): value for label, value in sample.labels.items()}
            points.append(NumberDataPoint({**labels, **row.constant}, begun, at, sample.value))
    for row, family, points in merged.values():
        if points:
            yield Metric(row.name, family.documentation, row.unit, _kind(row, family, points))


def _kind(row: Mapped, family: Family, points: list[NumberDataPoint]) -> Sum | Gauge:
    if family.type == "counter" or row.updown:
        return Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=not row.updown)
    return Gauge(points)


def _histograms(board: Board, begun: int, at: int) -> Iterator[Metric]:
    for name, models in board.histograms.items():
        row = mapped(f"watchtower_{name}")
        assert row is not None
        points = [
            _point({attribute(row, "model"): model, **row.constant}, totals, begun, at)
            for model, totals in models.items()
            if totals.bins
        ]
        if points:
            data = ExponentialHistogram(points, AggregationTemporality.CUMULATIVE)
            yield Metric(row.name, METRICS[f"watchtower_{name}"], row.unit, data)


def _point(labels: dict[str, str], totals: HistogramTotals, begun: int, at: int) -> ExponentialHistogramDataPoint:
    first, last = min(totals.bins), max(totals.bins)
    return ExponentialHistogramDataPoint(
        attributes=labels,
        start_time_unix_nano=begun,
        time_unix_nano=at,
        count=totals.count,
        sum=totals.sum,
        scale=SCALE,
        zero_count=0,
        positive=Buckets(first, [totals.bins.get(index, 0) for index in range(first, last + 1)]),
        negative=Buckets(0, []),
        flags=0,
        min=BASE**first,  # the edges of the bins: the extremes themselves are not kept
        max=BASE ** (last + 1),
    )


def _nanoseconds(wall: float) -> int:
    return int(wall * 1e9)
