"""What a client that keeps its trace finds below its own span; and that nobody else's exchange is told."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import SpanKind, StatusCode

from watchtower.exporters.exchange_spans import MOST_OPEN, ExchangeTraces
from watchtower.exporters.remediation_spans import DerivedIds, SpanQueue
from watchtower.vocabulary.facts import Closed, Ending, ExchangeNews, Opened
from watchtower.vocabulary.instants import Instant

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
KEPT = f"00-{TRACE}-{SPAN}-01"
NOW = Instant(boot=1000.0, wall=1_790_000_000.0, boot_id="b")


class House:
    def __init__(self) -> None:
        ids, self._queue = DerivedIds(), SpanQueue()
        provider = TracerProvider(id_generator=ids, shutdown_on_exit=False)
        provider.add_span_processor(self._queue)
        self.traces = ExchangeTraces(provider, ids, {"provider": "vllm", "address": "127.0.0.1", "port": 8000})

    def exchange(self, id: str = "0.1-1", header: str = KEPT, ending: Ending = Ending.COMPLETE, **closed: Any) -> None:
        opened = Opened(at=990.0, path="/v1/chat/completions", model="tiny", stream=True, traceparent=header)
        self.traces.news(ExchangeNews(id=id, opened=opened), NOW)
        self.traces.news(ExchangeNews(id=id, first_token_at=990.25, first_tokens=1), NOW)
        self.traces.news(ExchangeNews(id=id, closed=Closed(at=993.0, ending=ending, **closed)), NOW)

    @property
    def spans(self) -> list[ReadableSpan]:
        return self._queue.waiting


def test_a_kept_trace_gets_a_span_below_the_clients_with_counts_and_instants() -> None:
    house = House()
    house.exchange(status=200, prompt_tokens=9, completion_tokens=40, finish_reason="length")
    (span,) = house.spans
    assert span.name == "chat tiny" and span.kind is SpanKind.CLIENT
    assert span.parent is not None and f"{span.parent.span_id:016x}" == SPAN
    assert span.context is not None and f"{span.context.trace_id:032x}" == TRACE
    assert (span.start_time, span.end_time) == (1_789_999_990_000_000_000, 1_789_999_993_000_000_000)
    assert dict(span.attributes or {}) == {
        "gen_ai.provider.name": "vllm",
        "server.address": "127.0.0.1",
        "server.port": 8000,
        "gen_ai.operation.name": "chat",
        "gen_ai.response.model": "tiny",
        "gen_ai.request.stream": True,
        "http.response.status_code": 200,
        "gen_ai.usage.input_tokens": 9,
        "gen_ai.usage.output_tokens": 40,
        "gen_ai.response.finish_reasons": ("length",),
        "gen_ai.response.time_to_first_chunk": 0.25,
    }
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("header", ["", f"00-{TRACE}-{SPAN}-00", "nonsense", f"00-{'0' * 32}-{SPAN}-01"])
def test_without_a_kept_trace_nothing_is_told(header: str) -> None:
    house = House()
    house.exchange(header=header)
    assert house.spans == []


@pytest.mark.parametrize(
    ("ending", "status", "reason"),
    [
        (Ending.ERROR, 500, "500"),
        (Ending.SHED, 429, "429"),
        (Ending.TRUNCATED, 200, "truncated"),
        (Ending.ERROR, 200, "error"),
        (Ending.FAILED, 200, "failed"),
    ],
)
def test_a_failure_is_an_error_with_its_kind(ending: Ending, status: int, reason: str) -> None:
    house = House()
    house.exchange(ending=ending, status=status)
    (span,) = house.spans
    assert span.status.status_code is StatusCode.ERROR and (span.attributes or {})["error.type"] == reason


def test_a_client_that_leaves_is_no_error_of_the_engine() -> None:
    house = House()
    house.exchange(ending=Ending.CLIENT_LEFT, status=200)
    (span,) = house.spans
    assert span.status.status_code is StatusCode.UNSET and [event.name for event in span.events] == ["client_left"]


@pytest.mark.parametrize("ending", [Ending.OURS, Ending.UNOBSERVED])
def test_what_says_nothing_of_the_engine_leaves_no_span(ending: Ending) -> None:
    house = House()
    house.exchange(ending=ending)
    assert house.spans == []


def test_two_exchanges_of_one_trace_have_spans_of_their_own() -> None:
    house = House()
    house.exchange("0.1-1")
    house.exchange("0.1-2")
    assert len({span.context.span_id for span in house.spans if span.context}) == 2


def test_exchanges_that_never_end_are_forgotten_in_the_end() -> None:
    house = House()
    opened = Opened(at=990.0, path="/v1/completions", traceparent=KEPT)
    for number in range(MOST_OPEN + 1):
        house.traces.news(ExchangeNews(id=str(number), opened=opened), NOW)
    closed = Closed(at=991.0, ending=Ending.COMPLETE)
    house.traces.news(ExchangeNews(id="0", closed=closed), NOW)
    assert house.spans == []
    house.traces.news(ExchangeNews(id="1", closed=closed), NOW)
    assert [span.name for span in house.spans] == ["text_completion"]
