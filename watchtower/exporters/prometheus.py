"""Watchtower's own metrics, made from the board at each scrape: nothing is counted twice, nothing is kept here.

Base units, ratios 0–1, classic buckets whose bounds contain the limits themselves. A reading that is UNKNOWN has no
sample at all: absent is not zero. Label values come from configuration and closed enumerations only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry
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

from watchtower.board import Board
from watchtower.vocabulary.incidents import HoldReason, IncidentState
from watchtower.vocabulary.metrics import METRICS
from watchtower.vocabulary.readings import READINGS, Unit, Verdict
from watchtower.vocabulary.words import CAUSED, DROPPED, RELAY_COUNTERS

_SUFFIX = {
    Unit.SECONDS: "_seconds",
    Unit.RATIO: "_ratio",
    Unit.COSINE: "_cosine",
    Unit.COUNT: "",
    Unit.NATS: "_nats",
    Unit.PER_SECOND: "_per_second",
    Unit.BYTES_PER_SECOND: "_bytes_per_second",
}


def reading_metric(name: str) -> str:
    """The gauge that carries reading ``name``: ``inter_token_latency_seconds.p95`` →
    ``watchtower_inter_token_latency_p95_seconds``."""
    unit = _SUFFIX[READINGS[name].unit]
    stem = name.replace("_seconds.", ".").replace("_ratio", "").replace(".", "_")
    return f"watchtower_{stem}{unit}"


def relay_metric(name: str) -> str:
    """The counter, without ``_total``, that carries the relay's count ``name``."""
    return f"watchtower_relay_{name.removeprefix('relay_')}"


class BoardCollector(Collector):
    """Turns the board into metric families."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        yield from self._identity()
        yield from self._histograms()
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
        yield _gauge("watchtower_engine_known", float(bool(engine and engine.known)))
        yield _gauge("watchtower_engine_serving", float(bool(engine and engine.serving)))

    def _histograms(self) -> Iterator[Metric]:
        for family, totals in self._board.histograms.items():
            buckets = [(_le(bound), count) for bound, count in zip(totals.bounds, totals.counts, strict=True)]
            name = f"watchtower_{family}"
            metric = HistogramMetricFamily(name, METRICS[name])
            metric.add_metric([], [*buckets, ("+Inf", totals.count)], totals.sum)
            yield metric

    def _readings(self) -> Iterator[Metric]:
        seen: set[str] = set()
        for reading in self._board.readings:
            if reading.value is None or reading.name in seen:
                continue
            seen.add(reading.name)
            yield GaugeMetricFamily(reading_metric(reading.name), READINGS[reading.name].help, value=reading.value)

    def _rules(self) -> Iterator[Metric]:
        verdicts = GaugeMetricFamily(
            "watchtower_rule_verdict", METRICS["watchtower_rule_verdict"], labels=["rule", "verdict"]
        )
        firing = GaugeMetricFamily("watchtower_rule_firing", METRICS["watchtower_rule_firing"], labels=["rule"])
        limits = GaugeMetricFamily("watchtower_rule_limit", METRICS["watchtower_rule_limit"], labels=["rule"])
        for verdict in self._board.verdicts:
            for value in Verdict:
                verdicts.add_metric([verdict.rule, value.value], float(verdict.verdict is value))
            firing.add_metric([verdict.rule], float(verdict.firing))
            if verdict.limit is not None:
                limits.add_metric([verdict.rule], verdict.limit)
        yield from (verdicts, firing, limits)

    def _remediation(self) -> Iterator[Metric]:
        board = self._board
        state = GaugeMetricFamily("watchtower_incident_state", METRICS["watchtower_incident_state"], labels=["state"])
        now = board.incident["state"] if board.incident else IncidentState.CLEAR.value
        for value in IncidentState:
            state.add_metric([value.value], float(now == value.value))
        yield state
        held = GaugeMetricFamily("watchtower_incident_held", METRICS["watchtower_incident_held"], labels=["reason"])
        reasons = {entry["gate"] for entry in (board.incident or {}).get("held", ())}
        for reason in HoldReason:
            held.add_metric([reason.value], float(reason.value in reasons))
        yield held
        outcomes: dict[tuple[str, str], int] = {}
        for action in board.actions:
            key = (str(action["verb"]), str(action["state"]))
            outcomes[key] = outcomes.get(key, 0) + 1
        actions = GaugeMetricFamily(
            "watchtower_recent_actions", METRICS["watchtower_recent_actions"], labels=["verb", "state"]
        )
        for (verb, result), times in sorted(outcomes.items()):
            actions.add_metric([verb, result], times)
        yield actions
        yield _gauge("watchtower_paused", float(board.paused is not None))
        yield _gauge("watchtower_storage_fault", float(bool(board.storage_fault)))

    def _relay(self) -> Iterator[Metric]:
        frames = list(self._board.relay_frames.values())
        yield _gauge("watchtower_relay_workers", float(len(frames)))
        yield _gauge("watchtower_relay_open_exchanges", float(sum(frame.open_exchanges for frame in frames)))
        yield _gauge("watchtower_relay_parked_requests", float(sum(frame.parked for frame in frames)))
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

    def _self(self) -> Iterator[Metric]:
        board = self._board
        if board.last_tick is not None:
            yield _gauge("watchtower_last_evaluation_timestamp_seconds", board.last_tick.wall)
        yield _gauge("watchtower_start_timestamp_seconds", board.started.wall)
        yield _counter("watchtower_evaluations", board.ticks)
        yield _gauge("watchtower_loop_lag_seconds", board.loop_lag_seconds)
        canaries = CounterMetricFamily("watchtower_canaries", METRICS["watchtower_canaries_total"], labels=["outcome"])
        for outcome, count in board.canaries.items():
            canaries.add_metric([outcome.value], count)
        yield canaries
        yield from self._references()
        notices = CounterMetricFamily("watchtower_notices", METRICS["watchtower_notices_total"], labels=["result"])
        for result in ("sent", "failed", "dropped", "dead"):
            notices.add_metric([result], board.outbox.get(result, 0))
        yield notices
        yield _gauge("watchtower_outbox_pending", board.outbox.get("pending", 0))
        yield _gauge("watchtower_outbox_oldest_age_seconds", board.outbox.get("oldest_age_seconds", 0))
        drops = CounterMetricFamily(
            "watchtower_internal_events", METRICS["watchtower_internal_events_total"], labels=["event"]
        )
        for name, value in sorted(board.counters.items()):
            drops.add_metric([name], value)
        yield drops

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


def _le(bound: float) -> str:
    return repr(float(bound))
