"""Sends metrics and traces to an OTLP/HTTP collector, opt-in. A dead collector costs a count, nothing else.

The library's exporters block and retry until their deadline, so they run in a thread, one call at a time; the loop of
the daemon never waits for them. Needs the extra ``otlp``; nothing else of Watchtower imports this module.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import structlog
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from prometheus_client.registry import Collector

from watchtower.board import Board
from watchtower.exporters.exchange_spans import ExchangeTraces
from watchtower.exporters.otel import metrics_data, resource
from watchtower.exporters.remediation_spans import DerivedIds, RemediationTraces, SpanQueue
from watchtower.ports import Clock
from watchtower.settings import OtlpSettings
from watchtower.vocabulary.facts import AnyFact, RelayFrame

log = structlog.get_logger("watchtower.telemetry")

BATCH = 256
MOST_TRIES = 5
"""Of one batch of spans; then it is dropped, so that one that the collector refuses does not hold up the others."""
MOST_CLIENTS = 3


class Telemetry:
    """``run`` for ever; ``traces`` hears of the journal's entries, ``fact`` of what was seen."""

    def __init__(
        self,
        settings: OtlpSettings,
        board: Board,
        collectors: Sequence[Collector],
        clock: Clock,
        engine: Mapping[str, str | int] = MappingProxyType({}),
    ) -> None:
        """``engine``: what every span of an exchange says of the engine (``ExchangeTraces``)."""
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
        logging.getLogger("opentelemetry").propagate = False  # its messages may hold the address; we say it ourselves
        self._settings, self._board, self._collectors, self._clock = settings, board, collectors, clock
        self._resource = resource(board)
        self.spans = SpanQueue()
        ids = DerivedIds()
        provider = TracerProvider(sampler=ALWAYS_ON, resource=self._resource, id_generator=ids, shutdown_on_exit=False)
        provider.add_span_processor(self.spans)
        self.traces = RemediationTraces(board.target, provider, ids, self._slow_clients)
        self._exchanges = ExchangeTraces(provider, ids, engine) if settings.exchanges else None
        base = settings.endpoint.rstrip("/")
        common: dict[str, Any] = {"headers": settings.pairs(), "timeout": settings.timeout_seconds}
        self._metrics = OTLPMetricExporter(f"{base}/v1/metrics", **common)
        self._spans = OTLPSpanExporter(f"{base}/v1/traces", **common)
        self._tries = 0
        self._well: dict[str, bool] = {}
        self.exports = {signal: {"ok": 0, "failed": 0} for signal in ("metrics", "traces")}
        """Batches by signal, then by result."""

    async def run(self) -> None:
        while True:
            await self._clock.sleep(self._settings.every_seconds)
            await self.round()

    async def round(self) -> None:
        """One batch of each signal."""
        data = metrics_data(self._board, self._collectors, self._resource, self._clock.now())
        await self._send("metrics", lambda: self._metrics.export(data) is MetricExportResult.SUCCESS)
        batch = self.spans.waiting[:BATCH]
        if not batch:
            return
        sent = await self._send("traces", lambda: self._spans.export(batch) is SpanExportResult.SUCCESS)
        self._tries = 0 if sent else self._tries + 1
        if sent or self._tries >= MOST_TRIES:
            gone = {id(span) for span in batch}
            self.spans.waiting = [span for span in self.spans.waiting if id(span) not in gone]
            self.spans.dropped += 0 if sent else len(batch)
            self._tries = 0

    def fact(self, fact: AnyFact) -> None:
        """Hears of everything that was seen; exchanges alone are told, and only where that is wanted."""
        if self._exchanges is not None and isinstance(fact, RelayFrame):
            now = self._clock.now()
            for news in fact.news:
                self._exchanges.news(news, now)

    def close(self) -> None:
        """Ends a retry that is under way."""
        self._metrics.shutdown()
        self._spans.shutdown()  # type: ignore[no-untyped-call]  # the library's

    async def _send(self, signal: str, export: Callable[[], bool]) -> bool:
        try:
            well = await asyncio.to_thread(export)
        except Exception as problem:  # whatever the library meets, only telemetry is lost
            log.warning("telemetry.defect", signal=signal, kind=type(problem).__name__)
            well = False
        self.exports[signal]["ok" if well else "failed"] += 1
        if self._well.get(signal, True) != well:
            (log.info if well else log.warning)("telemetry.collector", signal=signal, answers=well)
        self._well[signal] = well
        return well

    def _slow_clients(self) -> list[str]:
        """Trace ids of the clients with the longest gaps between tokens."""
        examples = [
            example
            for totals in self._board.histograms.get("inter_token_latency_seconds", {}).values()
            for example in totals.exemplars
            if example is not None
        ]
        return [example.trace_id for example in sorted(examples, key=lambda example: -example.value)[:MOST_CLIENTS]]
