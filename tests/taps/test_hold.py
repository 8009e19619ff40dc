"""While a cure is under way new generation requests wait at their head; all else passes, and nothing waits for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.taps.conftest import ANSWER, Bench, Start, until
from watchtower.taps.hold import Hold
from watchtower.vocabulary.facts import Ending, HoldOrder, HoldState, ReleaseOrder

GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"


def hold_order(op_id: str = "op-1", **more: Any) -> HoldOrder:
    return HoldOrder(
        **{"op_id": op_id, "seconds": 5.0, "wait_seconds": 5.0, "max_parked": 10, "max_bytes": 100_000, **more}
    )


async def parked(bench: Bench, count: int) -> None:
    await until(lambda: bench.relay.hold.parked == count)


async def test_a_held_request_goes_on_at_release_byte_for_byte(start: Start) -> None:
    bench = await start()
    bench.relay.hold.obey(hold_order())
    reader, writer = await bench.client()
    writer.write(POST)
    await parked(bench, 1)
    assert bench.engine.received == []
    bench.relay.hold.obey(ReleaseOrder(op_id="op-1"))

    assert await reader.readexactly(len(ANSWER)) == ANSWER
    assert bytes(bench.engine.received[0]) == POST
    assert bench.relay.hold.state is HoldState.OPEN
    assert bench.caused() == {}


async def test_health_metrics_and_models_pass_during_a_hold(start: Start) -> None:
    bench = await start()
    bench.relay.hold.obey(hold_order())

    assert await bench.ask(GET) == ANSWER
    assert await bench.ask(b"POST /tokenize HTTP/1.1\r\nContent-Length: 0\r\n\r\n") == ANSWER


async def test_answers_that_are_open_go_on_during_a_hold(start: Start) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER[:-1])
        await until(lambda: bench.relay.hold.holding)
        writer.write(ANSWER[-1:])

    bench = await start(script)
    reader, writer = await bench.client()
    writer.write(POST)
    await reader.readexactly(len(ANSWER) - 1)
    bench.relay.hold.obey(hold_order())

    assert await reader.readexactly(1) == ANSWER[-1:]


async def test_an_engine_restart_under_a_hold_costs_an_idle_connection_nothing(start: Start) -> None:
    bench = await start()
    reader, writer = await bench.client()
    writer.write(POST)
    await reader.readexactly(len(ANSWER))
    bench.relay.hold.obey(hold_order())
    port = bench.engine.port
    await bench.engine.stop()  # closes the idle upstream connection: not mirrored
    await bench.engine.ended[0].wait()
    writer.write(POST)
    await parked(bench, 1)
    await bench.engine.start(port)
    bench.relay.hold.obey(ReleaseOrder(op_id="op-1"))

    assert await reader.readexactly(len(ANSWER)) == ANSWER
    assert [bytes(received) for received in bench.engine.received] == [POST, POST]


async def test_release_opens_a_fresh_upstream_even_if_the_old_one_looks_alive(start: Start) -> None:
    bench = await start()
    reader, writer = await bench.client()
    writer.write(POST)
    await reader.readexactly(len(ANSWER))
    bench.relay.hold.obey(hold_order())
    writer.write(POST)
    await parked(bench, 1)
    bench.relay.hold.obey(ReleaseOrder(op_id="op-1"))
    await reader.readexactly(len(ANSWER))

    assert len(bench.engine.received) == 2


async def test_an_engine_that_is_not_up_at_release_is_a_502_and_a_failed_answer(start: Start) -> None:
    bench = await start(engine_up=False)
    bench.relay.hold.obey(hold_order())
    reader, writer = await bench.client()
    writer.write(POST)
    await parked(bench, 1)
    bench.relay.hold.obey(ReleaseOrder(op_id="op-1"))

    assert (await bench.read(reader)).startswith(b"HTTP/1.1 502 ")
    assert bench.caused() == {"upstream_unreachable": 1}
    closed = bench.relay.exchanges.drain()[0].closed
    assert closed is not None
    assert (closed.ending, closed.status) == (Ending.ERROR, 502)


async def test_one_request_waits_no_longer_than_it_may(start: Start) -> None:
    bench = await start()
    bench.relay.hold.obey(hold_order(wait_seconds=0.05))
    answer = await bench.ask(POST)

    assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nRetry-After: " in answer
    assert bench.caused() == {"hold_wait": 1}
    assert bench.engine.received == []
    assert bench.relay.hold.parked == 0


async def test_the_worker_releases_by_itself_when_the_order_is_over(start: Start) -> None:
    bench = await start()
    bench.relay.hold.obey(hold_order(seconds=0.1))

    reader, writer = await bench.client()
    writer.write(POST)
    await parked(bench, 1)

    assert await reader.readexactly(len(ANSWER)) == ANSWER
    assert bench.relay.hold.op_id == ""
    assert bench.relay.counters["released"] == 1


async def test_more_requests_than_may_wait_get_a_503_at_once(start: Start) -> None:
    bench = await start()
    bench.relay.hold.obey(hold_order(max_parked=1))
    _, writer = await bench.client()
    writer.write(POST)
    await parked(bench, 1)

    assert (await bench.ask(POST)).startswith(b"HTTP/1.1 503 ")
    assert bench.caused() == {"hold_full": 1}


async def test_parked_bytes_are_bounded_and_arrive_complete_all_the_same(start: Start) -> None:
    body = b"x" * 4_000_000
    bench = await start()
    bench.relay.hold.obey(hold_order(max_bytes=100_000))
    reader, writer = await bench.client()
    request = b"POST /v1/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    writer.write(request[:1000])
    await parked(bench, 1)
    writer.write(request[1000:])
    await asyncio.sleep(0.1)
    assert bench.relay.hold._bytes < 1_000_000
    bench.relay.hold.obey(ReleaseOrder(op_id="op-1"))

    assert await asyncio.wait_for(reader.readexactly(len(ANSWER)), 3) == ANSWER
    assert bytes(bench.engine.received[0]) == request


async def test_a_client_that_stops_waiting_is_forgotten(start: Start) -> None:
    bench = await start()
    bench.relay.hold.obey(hold_order())
    _, writer = await bench.client()
    writer.write(POST)
    await parked(bench, 1)
    writer.close()
    await parked(bench, 0)
    bench.relay.hold.obey(ReleaseOrder(op_id="op-1"))
    await asyncio.sleep(0.05)

    assert bench.engine.received == []


# ── orders ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def hold() -> Hold:
    return Hold(asyncio.get_running_loop(), lambda: None)


async def test_repeating_an_order_does_not_prolong_it(hold: Hold) -> None:
    hold.obey(hold_order(seconds=0.05))
    await asyncio.sleep(0.03)
    hold.obey(hold_order(seconds=5))
    await asyncio.sleep(0.04)

    assert not hold.holding


async def test_an_order_that_is_over_does_not_hold_again(hold: Hold) -> None:
    hold.obey(hold_order())
    hold.obey(ReleaseOrder(op_id="op-1"))
    hold.obey(hold_order())
    assert not hold.holding
    hold.obey(hold_order("op-2"))
    assert hold.op_id == "op-2"


async def test_a_release_for_another_order_releases_nothing(hold: Hold) -> None:
    hold.obey(hold_order("op-2"))
    hold.obey(ReleaseOrder(op_id="op-1"))

    assert hold.op_id == "op-2"


# ── what a drain waits for ──────────────────────────────────────────────────────────────────────

SSE, NDJSON = b"content-type: text/event-stream\r\n", b"content-type: application/x-ndjson\r\n"
UNDER_WAY = {
    "a stream that is read": (b"/v1/chat/completions", SSE),
    "one that is compressed": (b"/v1/chat/completions", SSE + b"content-encoding: gzip\r\n"),
    "lines of JSON": (b"/api/chat", NDJSON),
    "SGLang's own": (b"/generate", SSE),
    "SageMaker's": (b"/invocations", SSE),
    "behind a prefix": (b"/llm/v1/chat/completions", SSE),
    "a transcription": (b"/v1/audio/transcriptions", SSE),
    "an embedding": (b"/v1/embeddings", b"content-type: application/json\r\n"),
    "an unknown dialect": (b"/cohere/v2/chat", SSE),
}


@pytest.mark.parametrize(("path", "headers"), UNDER_WAY.values(), ids=UNDER_WAY.keys())
async def test_work_is_waited_for_until_it_is_answered_observed_or_not(
    start: Start, path: bytes, headers: bytes
) -> None:
    go_on = asyncio.Event()

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(b"HTTP/1.1 200 OK\r\n" + headers + b'transfer-encoding: chunked\r\n\r\n5\r\n{"a":\r\n')
        await go_on.wait()
        writer.write(b"3\r\n1}\n\r\n0\r\n\r\n")

    bench = await start(slowly)
    asking = asyncio.create_task(bench.ask(b"POST " + path + b" HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 1.0))
    await until(lambda: bool(bench.engine.received) and b"{}" in bench.engine.received[0])
    await asyncio.sleep(0.05)
    bench.relay.exchanges.drain()

    assert bench.relay.passing.working == 1
    go_on.set()
    assert (await asking).endswith(b"0\r\n\r\n")
    assert not bench.relay.passing.working


@pytest.mark.parametrize("request_", [b"GET /v1/models", b"POST /tokenize", b"GET /v1/chat/completions"])
async def test_what_is_no_work_is_not_waited_for(start: Start, request_: bytes) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    bench = await start(never)
    _, writer = await bench.client()
    writer.write(request_ + b" HTTP/1.1\r\n\r\n")
    await until(lambda: bool(bench.engine.received and bench.engine.received[0]))

    assert not bench.relay.passing.working


async def test_work_whose_client_left_or_whose_engine_died_is_not_waited_for(start: Start) -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        if len(bench.engine.received) == 2:
            writer.transport.abort()
        await reader.read()

    bench = await start(never)
    post = b"POST /generate HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
    _, writer = await bench.client()
    writer.write(post)
    await until(lambda: bench.relay.passing.working == 1)
    writer.close()
    await until(lambda: not bench.relay.passing.working)
    assert b" 502 " in await bench.ask(post)
    assert not bench.relay.passing.working
