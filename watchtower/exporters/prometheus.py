"""Watchtower's own metrics, made from the board at each scrape: nothing is counted twice, nothing is kept here.

Base units, ratios 0–1, classic buckets whose bounds contain the limits themselves. A reading that is UNKNOWN has no
sample at all: absent is not zero. Label values come from configuration and closed enumerations only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST as PLAIN
from prometheus_client.exposition import generate_latest as plain_text
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_text
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as PrometheusExemplar

from watchtower.board import Board
from watchtower.vocabulary.endings import FAILURES
from watchtower.vocabulary.headline import Level, headline
from watchtower.vocabulary.histograms import HistogramTotals
from watchtower.vocabulary.incidents import HoldReason, IncidentState
from watchtower.vocabulary.metrics import INTERNAL_EVENTS, METRICS, OTHER, reading_metric, relay_metric
from watchtower.vocabulary.quantities import seconds
from watchtower.vocabulary.readings import READINGS, Verdict
from watchtower.vocabulary.words import CAUSED, DROPPED, RELAY_COUNTERS

PROCESS: Collector = ProcessCollector(registry=None)  # the default is the global registry
"""CPU, memory and open files of this process, under the names everybody knows: ``process_…``."""


MOST_ROUTES = 4
"""Routes with a series of their own, of those that pass unread; the others are added up as ``other``."""


class BoardCollector(Collector):
    """Turns the board into metric families."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        yield from self._identity()
        yield from self._histograms()
        yield from self._exchanges()
        yield from self._readings()
        yield from self._rules()
        yield from self._remediation()
        yield from self._relay()
        yield from self._self()

    def _identity(self) -> Iterator[Metric]:
        board = self._board
        yield InfoMetricFamily(
            "watchtower_build",
            METRICS["watchtower_build_info"],
            value={"version": board.version, "profile": board.profile, "mode": board.mode},
        )
        engine = board.engine
        if engine and engine.version:
            text = METRICS["watchtower_engine_info"]
            yield InfoMetricFamily("watchtower_engine", text, value={"version": engine.version})
        yield _gauge("watchtower_engine_known", float(bool(engine and engine.known)))
        yield _gauge("watchtower_engine_serving", float(bool(engine and engine.serving)))
        yield _counter("watchtower_engine_restarts", board.engine_restarts)
        yield _counters("watchtower_engine_scrapes", "result", board.engine_scrapes)

    def _histograms(self) -> Iterator[Metric]:
        for family, models in self._board.histograms.items():
            name = f"watchtower_{family}"
            metric = HistogramMetricFamily(name, METRICS[name], labels=["model"])
            for model, totals in models.items():
                metric.add_metric([model], _buckets(totals), totals.sum)
            yield metric

    def _exchanges(self) -> Iterator[Metric]:
        counts = {kind.value: count for kind, count in self._board.exchanges.items()}
        yield _counters("watchtower_exchanges", "counts_as", counts)

    def _readings(self) -> Iterator[Metric]:
        seen: set[str] = set()
        for reading in self._board.readings:
            if reading.value is None or reading.name in seen:
                continue
            seen.add(reading.name)
            text = f"{READINGS[reading.name].help} Window: {seconds(reading.over)}."
            yield GaugeMetricFamily(reading_metric(reading.name), text, value=reading.value)

    def _rules(self) -> Iterator[Metric]:
        verdicts = GaugeMetricFamily(
            "watchtower_rule_verdict", METRICS["watchtower_rule_verdict"], labels=["rule", "verdict"]
        )
        firing = GaugeMetricFamily("watchtower_rule_firing", METRICS["watchtower_rule_firing"], labels=["rule"])
        values = GaugeMetricFamily("watchtower_rule_value", METRICS["watchtower_rule_value"], labels=["rule"])
        limits = GaugeMetricFamily("watchtower_rule_limit", METRICS["watchtower_rule_limit"], labels=["rule"])
        for verdict in self._board.verdicts:
            for value in Verdict:
                verdicts.add_metric([verdict.rule, value.value], float(verdict.verdict is value))
            firing.add_metric([verdict.rule], float(verdict.firing))
            if verdict.value is not None:
                values.add_metric([verdict.rule], verdict.value)
            if verdict.limit is not None:
                limits.add_metric([verdict.rule], verdict.limit)
        yield from (verdicts, firing, values, limits)

    def _remediation(self) -> Iterator[Metric]:
        board = self._board
        levels = GaugeMetricFamily("watchtower_headline", METRICS["watchtower_headline"], labels=["level"])
        shown = board.shown or headline(board.watched, board.watched.started_at)
        for level in Level:
            if level is not Level.DAEMON:  # of which only others can tell
                levels.add_metric([level.value], float(shown.level is level))
        yield levels
        state = GaugeMetricFamily("watchtower_incident_state", METRICS["watchtower_incident_state"], labels=["state"])
        now = board.incident["state"] if board.incident else IncidentState.CLEAR.value
        for value in IncidentState:
            state.add_metric([value.value], float(now == value.value))
        yield state
        if board.incident:
            yield _gauge("watchtower_incident_opened_timestamp_seconds", board.incident["opened_wall"])
        held = GaugeMetricFamily("watchtower_incident_held", METRICS["watchtower_incident_held"], labels=["reason"])
        reasons = {entry["gate"] for entry in (board.incident or {}).get("held", ())}
        for reason in HoldReason:
            held.add_metric([reason.value], float(reason.value in reasons))
        yield held
        yield _counter("watchtower_incidents", board.incidents_opened)
        ended = CounterMetricFamily(
            "watchtower_actions", METRICS["watchtower_actions_total"], labels=["verb", "result"]
        )
        for verb, results in sorted(board.actions_ended.items()):
            for result, times in results.items():
                ended.add_metric([verb, result], times)
        yield ended
        yield _gauge("watchtower_paused", float(board.paused is not None))
        yield _gauge("watchtower_storage_fault", float(bool(board.storage_fault)))

    def _relay(self) -> Iterator[Metric]:
        frames = list(self._board.relay_frames.values())
        yield _gauge("watchtower_relay_workers", float(len(frames)))
        yield _gauge("watchtower_relay_open_exchanges", float(sum(frame.open_exchanges for frame in frames)))
        yield _gauge("watchtower_relay_parked_requests", float(sum(frame.parked for frame in frames)))
        lag = max((frame.loop_lag_seconds for frame in frames), default=0.0)
        yield _gauge("watchtower_relay_loop_lag_seconds", lag)
        yield _gauge("watchtower_relay_bypassed", float(self._board.relay_bypass is not None))
        yield from self._unread()
        counts = self._board.relay_counts
        yield _counter("watchtower_relay_dropped_news", counts.get(DROPPED, 0))
        caused = CounterMetricFamily(
            "watchtower_relay_caused_errors", METRICS["watchtower_relay_caused_errors_total"], labels=["kind"]
        )
        for name, text in RELAY_COUNTERS.items():
            if name.startswith(CAUSED):
                caused.add_metric([name.removeprefix(CAUSED)], counts.get(name, 0))
            else:
                yield CounterMetricFamily(relay_metric(name), text, value=counts.get(name, 0))
        yield caused

    def _unread(self) -> Iterator[Metric]:
        passed: dict[str, int] = {}
        failed = 0
        for route in self._board.relay_unread.values():  # in the order of their coming, or counters would fall
            name = route.route if route.route in passed or len(passed) < MOST_ROUTES else OTHER
            passed[name] = passed.get(name, 0) + route.requests
            failed += sum(route.endings.get(ending, 0) for ending in FAILURES)
        yield _counters("watchtower_relay_unread", "route", passed)
        yield _counter("watchtower_relay_unread_failures", failed)

    def _self(self) -> Iterator[Metric]:
        board = self._board
        if board.last_tick is not None:
            yield _gauge("watchtower_last_evaluation_timestamp_seconds", board.last_tick.wall)
        yield _gauge("watchtower_start_timestamp_seconds", board.started.wall)
        yield _counter("watchtower_evaluations", board.ticks)
        yield _gauge("watchtower_evaluation_seconds", board.evaluation_seconds)
        yield _gauge("watchtower_loop_lag_seconds", board.loop_lag_seconds)
        yield _counters(
            "watchtower_canaries", "outcome", {outcome.value: count for outcome, count in board.canaries.items()}
        )
        yield from self._references()
        yield from self._samples()
        results = ("sent", "failed", "dropped", "dead")
        yield _counters("watchtower_notices", "result", {result: board.outbox.get(result, 0) for result in results})
        yield _gauge("watchtower_outbox_pending", board.outbox.get("pending", 0))
        yield _gauge("watchtower_outbox_oldest_age_seconds", board.outbox.get("oldest_age_seconds", 0))
        yield from self._sinks()
        yield from self._parts()

    def _sinks(self) -> Iterator[Metric]:
        name = "watchtower_sink_attempts"
        attempts = CounterMetricFamily(name, METRICS[f"{name}_total"], labels=["sink", "result"])
        up = GaugeMetricFamily("watchtower_sink_up", METRICS["watchtower_sink_up"], labels=["sink"])
        name = "watchtower_sink_template_fallbacks"
        fallbacks = CounterMetricFamily(name, METRICS[f"{name}_total"], labels=["sink"])
        for sink, health in self._board.sinks.items():
            attempts.add_metric([sink, "ok"], health.ok)
            attempts.add_metric([sink, "failed"], health.failed)
            up.add_metric([sink], float(health.up))
            fallbacks.add_metric([sink], health.fallbacks)
        yield from (attempts, up, fallbacks)

    def _parts(self) -> Iterator[Metric]:
        """Our own queues and children."""
        board = self._board
        length = GaugeMetricFamily("watchtower_queue_length", METRICS["watchtower_queue_length"], labels=["queue"])
        room = GaugeMetricFamily("watchtower_queue_capacity", METRICS["watchtower_queue_capacity"], labels=["queue"])
        for queue, (waiting, capacity) in board.queues.items():
            length.add_metric([queue], waiting)
            room.add_metric([queue], capacity)
        yield from (length, room)
        children = GaugeMetricFamily("watchtower_child_up", METRICS["watchtower_child_up"], labels=["child"])
        for child, up in board.children.items():
            children.add_metric([child], float(up))
        yield children
        name = "watchtower_telemetry_exports"
        exports = CounterMetricFamily(name, METRICS[f"{name}_total"], labels=["signal", "result"])
        for signal in ("metrics", "traces"):
            for result in ("ok", "failed"):
                exports.add_metric([signal, result], board.telemetry.get(signal, {}).get(result, 0))
        yield exports
        counted = {event: board.counters.get(event, 0) for event in INTERNAL_EVENTS}
        yield _counters("watchtower_internal_events", "event", counted)

    def _references(self) -> Iterator[Metric]:
        known = self._board.references
        yield _gauge("watchtower_references", known.get("usable", 0))
        for name in ("rounds", "answers"):
            metric = f"watchtower_reference_{name}"
            counter = CounterMetricFamily(metric, METRICS[f"{metric}_total"], labels=["result"])
            for result, count in known.get(name, {}).items():
                counter.add_metric([result], count)
            yield counter
        yield _counter("watchtower_reference_tokens", known.get("tokens", 0))

    def _samples(self) -> Iterator[Metric]:
        counts = self._board.samples.get("counts", {})
        results = {"kept": ("kept",), "compared": ("compared",), "lost": ("dropped", "unscored")}
        counted = {result: sum(counts.get(part, 0) for part in parts) for result, parts in results.items()}
        yield _counters("watchtower_samples", "result", counted)
        found = self._board.output_shift.get("shift")
        if found:
            name = "watchtower_output_shift_ratio"
            moved = GaugeMetricFamily(name, METRICS[name], labels=["measure"])
            for measure, value in found["moved"].items():
                moved.add_metric([measure], value)
            yield moved


class Exposition:
    """Renders the registry in the format that the scraper asked for."""

    def __init__(self, collectors: Iterable[Collector]) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        for collector in collectors:
            self._registry.register(collector)

    def render(self, accept: str) -> tuple[bytes, str]:
        """(body, content type) for an ``Accept`` header."""
        make: Callable[[CollectorRegistry], bytes]
        make, kind = (
            (openmetrics_text, OPENMETRICS) if "application/openmetrics-text" in accept else (plain_text, PLAIN)
        )
        return make(self._registry), kind


def _gauge(name: str, value: float) -> Metric:
    return GaugeMetricFamily(name, METRICS[name], value=value)


def _counter(name: str, value: float) -> Metric:
    return CounterMetricFamily(name, METRICS[f"{name}_total"], value=value)


def _counters(name: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(name, METRICS[f"{name}_total"], labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family


def _buckets(totals: HistogramTotals) -> list[tuple[str, float] | tuple[str, float, PrometheusExemplar]]:
    """Cumulative buckets; the exemplar of each is an observation of that bucket alone."""
    bounds = [*(_le(bound) for bound in totals.bounds), "+Inf"]
    counts = [*totals.counts, totals.count]
    buckets: list[tuple[str, float] | tuple[str, float, PrometheusExemplar]] = []
    for bound, count, example in zip(bounds, counts, totals.exemplars or (None,) * len(bounds), strict=True):
        if example is None:
            buckets.append((bound, count))
        else:
            buckets.append(
                (bound, count, PrometheusExemplar({"trace_id": example.trace_id}, example.value, example.wall))
            )
    return buckets


def _le(bound: float) -> str:
    return repr(float(bound))
