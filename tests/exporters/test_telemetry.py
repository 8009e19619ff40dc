"""What arrives at a real OTLP/HTTP receiver that decodes protobuf; and that a dead one costs a count, nothing else."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from pydantic import SecretStr

from tests.exporters.test_prometheus import MODEL, TRACE, full_board
from watchtower.board import Board
from watchtower.exporters import otel
from watchtower.exporters.prometheus import BoardCollector
from watchtower.exporters.remediation_spans import SpanQueue
from watchtower.exporters.telemetry import MOST_TRIES, Telemetry
from watchtower.settings import OtlpSettings
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.histograms import HistogramTotals
from watchtower.vocabulary.records import Entry
from watchtower.windows import histogram
from watchtower.windows.totals import LatencyTotals

Bodies = list[tuple[str, Any, dict[str, str]]]
VALUES = [0.03, 0.031, 0.05, 0.4, 0.4, 7.0]


@contextmanager
def collector(status: int = 200) -> Iterator[tuple[str, Bodies]]:
    """Its address, and what arrived: (path, decoded message, headers)."""
    arrived: Bodies = []
    kinds: dict[str, Any] = {"/v1/metrics": ExportMetricsServiceRequest, "/v1/traces": ExportTraceServiceRequest}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            arrived.append((self.path, kinds[self.path].FromString(body), dict(self.headers)))
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", arrived
        server.shutdown()
        thread.join()


def board() -> Board:
    totals = LatencyTotals((0.13,))
    for seconds in VALUES:
        totals.add(seconds)
    full = full_board()
    *counts, count = totals.cumulative()
    example = full.histograms["inter_token_latency_seconds"][MODEL].exemplars[3]
    for family in full.histograms:
        full.histograms[family] = {
            MODEL: HistogramTotals(
                totals.bounds, tuple(counts), count, totals.sum_seconds, (None, example), dict(totals.bins)
            )
        }
    return full


def telemetry(url: str, shown: Board, headers: str = "") -> Telemetry:
    settings = OtlpSettings(endpoint=url, headers=SecretStr(headers) if headers else None, timeout_seconds=0.5)
    return Telemetry(settings, shown, [BoardCollector(shown)], HandClock())


def attributes(thing: Any) -> dict[str, Any]:
    found = {}
    for attribute in thing.attributes:
        kind = attribute.value.WhichOneof("value")
        value = getattr(attribute.value, kind)
        found[attribute.key] = [item.string_value for item in value.values] if kind == "array_value" else value
    return found


ACTION: dict[str, Any] = {"verb": "restart_group", "rule": "slow_tokens", "attempt": 1, "before": "1@1", "after": ""}
REMEDIATION: list[tuple[str, dict[str, Any]]] = [
    ("incident.suspect", {"why": "p95 412 ms over 130 ms", "rules": ["slow_tokens"], "gates": []}),
    ("incident.open", {"from": "suspect", "why": "p95 412 ms over 130 ms", "rules": ["slow_tokens"], "gates": []}),
    *(
        (
            f"action.{state}",
            {"verb": "restart_group", "rule": "slow_tokens", "attempt": 1, "before": "1@1", "after": ""},
        )
        for state in ("reserved", "intent", "dispatched", "acked", "verifying")
    ),
    (
        "action.effective",
        {"verb": "restart_group", "rule": "slow_tokens", "attempt": 1, "before": "1@1", "after": "2@9", "because": ""},
    ),
    ("incident.resolved", {"why": "all clear", "rules": ["slow_tokens"], "gates": []}),
]


def tell(sender: Telemetry, entries: list[tuple[str, dict[str, Any]]], incident: str = "inc-1") -> None:
    clock = HandClock()
    for kind, body in entries:
        op_id = "op-1" if kind.startswith("action.") else ""
        sender.traces.entry(Entry(kind, body, incident, op_id), clock.advance(1))


async def test_histograms_arrive_as_exponential_ones_made_of_our_own_bins() -> None:
    with collector() as (url, arrived):
        await telemetry(url, board(), "x-api-key=planted, x-team = infra").round()
    ((path, message, headers),) = arrived
    assert (path, headers["x-api-key"], headers["x-team"]) == ("/v1/metrics", "planted", "infra")
    (resource,) = message.resource_metrics
    assert attributes(resource.resource)["service.name"] == "watchtower"
    found = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    metric = found["watchtower.inter_token_latency"]
    (point,) = metric.exponential_histogram.data_points
    assert (metric.unit, point.scale, point.count) == ("s", 6, len(VALUES))
    assert attributes(point) == {"gen_ai.response.model": MODEL}
    counted = histogram.Histogram.of(VALUES)
    assert (point.positive.offset, list(point.positive.bucket_counts)) == counted.otel()
    assert point.sum == sum(VALUES)


async def test_conventions_name_what_they_define_and_the_rest_keeps_our_names() -> None:
    with collector() as (url, arrived):
        await telemetry(url, board()).round()
    found = {metric.name: metric for metric in arrived[0][1].resource_metrics[0].scope_metrics[0].metrics}
    assert found["gen_ai.server.time_to_first_token"].unit == "s"
    assert found["watchtower.evaluations"].sum.is_monotonic
    assert found["watchtower.last_evaluation_timestamp"].gauge.data_points[0].as_double > 0
    assert attributes(found["watchtower.rule_limit"].gauge.data_points[0]) == {"watchtower.rule": "rule_0"}


async def test_a_remediation_is_one_trace_and_its_ids_are_the_same_after_a_restart() -> None:
    with collector() as (url, arrived):
        for _ in range(2):  # two lives of the daemon
            sender = telemetry(url, board())
            tell(sender, REMEDIATION)
            await sender.round()
    first, again = (
        [*message.resource_spans[0].scope_spans[0].spans] for path, message, _ in arrived if path == "/v1/traces"
    )
    assert [(span.trace_id, span.span_id) for span in first] == [(span.trace_id, span.span_id) for span in again]
    spans = {span.name: span for span in first}
    assert list(spans) == ["reserved", "intent", "dispatched", "acked", "verifying", "restart_group", "incident"]
    root, action = spans["incident"], spans["restart_group"]
    assert len({span.trace_id for span in first}) == 1 and root.parent_span_id == b""
    assert action.parent_span_id == root.span_id
    assert {spans[name].parent_span_id for name in ("intent", "dispatched", "verifying")} == {action.span_id}
    assert (attributes(action)["watchtower.result"], attributes(action)["watchtower.incarnation.after"]) == (
        "effective",
        "2@9",
    )
    assert [event.name for event in root.events] == ["incident.suspect", "incident.open", "incident.resolved"]
    assert attributes(root)["watchtower.client_trace_ids"] == [TRACE]
    assert root.start_time_unix_nano < action.start_time_unix_nano < action.end_time_unix_nano < root.end_time_unix_nano


async def test_a_suspicion_that_clears_leaves_nothing() -> None:
    with collector() as (url, arrived):
        sender = telemetry(url, board())
        tell(sender, [REMEDIATION[0], ("incident.clear", {"why": "over", "rules": [], "gates": []})])
        await sender.round()
    assert [path for path, _, _ in arrived] == ["/v1/metrics"]


async def test_a_collector_that_refuses_costs_a_count_and_the_spans_go_after_a_few_tries() -> None:
    with collector(status=400) as (url, _):
        shown = board()
        sender = telemetry(url, shown)
        tell(sender, REMEDIATION)
        for _ in range(MOST_TRIES):
            assert sender.spans.waiting
            await sender.round()
    assert sender.exports == {
        "metrics": {"ok": 0, "failed": MOST_TRIES},
        "traces": {"ok": 0, "failed": MOST_TRIES},
    }
    assert (sender.spans.waiting, sender.spans.dropped) == ([], 7)


async def test_spans_wait_for_a_collector_that_is_away() -> None:
    with collector() as (url, _):
        pass  # it is gone now
    shown = board()
    sender = telemetry(url, shown)
    tell(sender, REMEDIATION)
    await sender.round()
    assert sender.exports["traces"] == {"ok": 0, "failed": 1}
    assert len(sender.spans.waiting) == 7


def test_the_queue_is_bounded_and_the_oldest_falls_off() -> None:
    queue = SpanQueue(capacity=2)
    spans = [ReadableSpan(name) for name in ("a", "b", "c")]
    for span in spans:
        queue.on_end(span)
    assert [span.name for span in queue.waiting] == ["b", "c"]
    assert queue.dropped == 1


def test_the_scale_is_that_of_the_windows() -> None:
    assert (otel.SCALE, otel.BASE) == (histogram.SCALE, histogram.BASE)
