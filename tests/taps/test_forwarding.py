"""Bytes pass as they are, in both directions, whatever they are; endings are mirrored as they were."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from tests.exchanges.streams import CHAT_ESTIMATED, DONE, RECORDED, STREAM_HEAD, Recorded, chat, chunked, event
from tests.taps.conftest import ANSWER, Script, Start, until
from watchtower.clock import boottime_ns
from watchtower.taps.client_connection import ClientConnection
from watchtower.vocabulary.facts import Ending
from watchtower.vocabulary.samples import SampleOrder

GET = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b'{"model": "m", "stream": true, "messages": []}'


def post(path: str) -> bytes:
    return b"POST %b?x=1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(BODY), BODY)


POST = post("/v1/chat/completions")


def reply(wire: bytes, *, cut: int = 0, then_close: bool = False, pause: float = 0.0) -> Script:
    """Answer the first request with ``wire`` in pieces of ``cut`` bytes."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        size = cut or len(wire) or 1
        for begin in range(0, len(wire), size):
            writer.write(wire[begin : begin + size])
            await asyncio.sleep(pause)
        if then_close:
            writer.close()

    return script


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded.name)
async def test_an_answer_arrives_byte_for_byte_and_is_observed(start: Start, recorded: Recorded) -> None:
    bench = await start(reply(recorded.wire, cut=37))
    path = recorded.dialect.routes[0]

    assert await bench.ask(post(path)) == recorded.wire
    assert bytes(bench.engine.received[0]) == post(path)
    news = bench.relay.exchanges.drain()[0]
    assert news.opened is not None
    assert (news.opened.path, news.opened.request_bytes) == (path, len(BODY))
    assert news.closed is not None
    assert news.closed.ending is recorded.ending
    assert news.first_tokens + sum(news.tokens) == recorded.tokens


async def test_the_request_itself_tells_model_and_stream_before_any_answer(start: Start) -> None:
    bench = await start(reply(b""))
    _, writer = await bench.client()
    writer.write(POST)
    await until(lambda: bool(bench.relay.exchanges.open))

    opened = bench.relay.exchanges.drain()[0].opened
    assert opened is not None
    assert (opened.model, opened.stream) == ("m", True)
    assert len(bench.relay.exchanges.open) == 1


async def test_pipelined_requests_are_answered_in_order_one_at_a_time(start: Start) -> None:
    bench = await start()
    requests = [GET, POST, b"HEAD /health HTTP/1.1\r\n\r\n"]
    reader, writer = await bench.client()
    writer.write(b"".join(requests[:2]) * 3)

    assert await bench.read(reader) == ANSWER * 6
    assert bytes(bench.engine.received[0]) == b"".join(requests[:2]) * 3


async def test_a_successor_waits_until_the_answer_before_it_has_ended(start: Start) -> None:
    bench = await start(reply(CHAT_ESTIMATED.wire[:100]))
    await bench.ask(POST + GET)

    assert bytes(bench.engine.received[0]) == POST


@pytest.mark.parametrize("size", [1_000_000, 8_000_000])
async def test_large_bodies_pass_unharmed_both_ways(start: Start, size: int) -> None:
    blob = os.urandom(size)
    wire = b"HTTP/1.1 200 OK\r\ncontent-type: x/y\r\ncontent-length: %d\r\n\r\n" % size + blob

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(size)
        writer.write(wire)
        await writer.drain()

    bench = await start(script)
    request = b"POST /v1/files HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size + blob

    reader, writer = await bench.client()
    writer.write(request)
    assert await reader.readexactly(len(wire)) == wire
    assert bytes(bench.engine.received[0]) == request


async def test_after_a_read_that_takes_several_turns_the_next_request_goes_and_is_answered(start: Start) -> None:
    whole = STREAM_HEAD + chunked(*[event(chat({"content": "a"}))] * 2000, event(chat({}, finish="stop")), DONE)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(BODY))
            writer.write(whole)

    bench = await start(script)
    reader, writer = await bench.client()
    writer.write(POST * 3)

    assert await asyncio.wait_for(reader.readexactly(3 * len(whole)), 20) == whole * 3
    await until(lambda: not bench.relay.exchanges.open)
    told = bench.relay.exchanges.drain()
    assert [news.closed and news.closed.ending for news in told] == [Ending.COMPLETE] * 3
    assert [news.first_tokens + sum(news.tokens) + news.more_tokens for news in told] == [2000] * 3


async def test_a_client_that_goes_as_soon_as_it_has_a_long_read_has_all_of_it(start: Start) -> None:
    whole = STREAM_HEAD + chunked(*[event(chat({"content": "a"}))] * 800, event(chat({}, finish="stop")), DONE)
    bench = await start(reply(whole))
    reader, writer = await bench.client()
    writer.write(POST)

    assert await asyncio.wait_for(reader.readexactly(len(whole)), 20) == whole
    writer.transport.abort()
    await until(lambda: not bench.relay.exchanges.open)

    news = bench.relay.exchanges.drain()[0]
    assert news.closed is not None
    assert (news.closed.ending, news.first_tokens + sum(news.tokens)) == (Ending.COMPLETE, 800)
    await until(lambda: not bench.relay.connections)


async def test_a_client_that_does_not_read_stops_us_from_reading_the_engine(start: Start) -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: x/y\r\ncontent-length: 1000000000\r\n\r\n")
        writer.transport.set_write_buffer_limits(high=65536)
        while not writer.is_closing():
            writer.write(b"x" * 65536)
            sent += 65536
            await writer.drain()

    bench = await start(flood)
    _, writer = await bench.client()
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio.Transport is what it is
    writer.write(GET)
    await until(lambda: bench.relay.counters["clients_slow"] == 1)
    await asyncio.sleep(0.1)
    before = sent
    await asyncio.sleep(0.2)

    assert sent == before, "the engine is stopped by its own full buffers"
    assert before < 64_000_000


async def test_garbage_passes_unchanged_and_is_counted(start: Start) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\nno")
        writer.close()

    bench = await start(script)
    garbage = b"\x00\x01garbage\xff\nGET / HTTP/1.1\n\n"

    assert await bench.ask(garbage) == b"HTTP/1.1 400 Bad Request\r\n\r\nno"
    assert bytes(bench.engine.received[0]) == garbage
    assert bench.relay.counters["requests_malformed"] == 1


@pytest.mark.parametrize("sampled", [False, True])
async def test_json_nested_deeper_than_we_can_read_passes_both_ways(start: Start, sampled: bool) -> None:
    deep = "[" * 20_000 + "]" * 20_000
    body = f'{{"model": "m", "temperature": 0, "messages": [{{"role": "user", "content": {deep}}}]}}'.encode()
    request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    for kind, answer in (
        (b"application/json", f'{{"choices": [{{"message": {{"content": {deep}}}}}]}}'.encode()),
        (b"text/event-stream", event(f'{{"choices": [{{"delta": {{"content": {deep}}}}}]}}') + event("[DONE]")),
    ):
        head = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n" % (kind, len(answer))
        bench = await start(reply(head + answer))
        if sampled:
            bench.relay.sampler.obey(SampleOrder(ratio=1.0))
        assert await bench.ask(request) == head + answer
        assert bytes(bench.engine.received[0]).startswith(request[:100])


async def test_an_answer_that_is_not_http_passes_unchanged_and_is_counted(start: Start) -> None:
    bench = await start(reply(b"\x00\x01 what is this", then_close=True))

    assert await bench.ask(POST) == b"\x00\x01 what is this"
    assert bench.relay.counters["responses_malformed"] == 1
    closed = bench.relay.exchanges.drain()[0].closed
    assert closed is not None
    assert closed.ending is Ending.UNOBSERVED


async def test_an_accepted_upgrade_becomes_a_tunnel(start: Start) -> None:
    switching = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n"

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(switching)
        while data := await reader.read(100):
            writer.write(data[::-1])

    bench = await start(script)
    reader, writer = await bench.client()
    writer.write(b"GET /echo HTTP/1.1\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
    assert await reader.readexactly(len(switching)) == switching
    writer.write(b"\x81\x05abc")

    assert await reader.readexactly(5) == b"cba\x05\x81"
    assert bench.relay.counters["relay_tunnels"] == 1


async def test_an_engine_behind_a_unix_socket_is_reached(start: Start, tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(serve, tmp_path / "engine.sock")
    bench = await start(upstream=f"unix:{tmp_path}/engine.sock")

    assert await bench.ask(GET) == ANSWER
    server.close()


# ── endings ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_death_in_mid_answer_is_a_reset_after_everything_that_came(start: Start) -> None:
    part = CHAT_ESTIMATED.wire[:300]
    bench = await start(reply(part, then_close=True))
    reader, writer = await bench.client()
    writer.write(POST)

    assert await reader.readexactly(len(part)) == part
    with pytest.raises(ConnectionResetError):
        await reader.read()
    assert bench.relay.counters["upstream_deaths"] == 1
    closed = bench.relay.exchanges.drain()[0].closed
    assert closed is not None
    assert closed.ending is Ending.TRUNCATED


async def test_an_answer_without_length_ends_cleanly_with_its_connection(start: Start) -> None:
    wire = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nthe end"
    bench = await start(reply(wire, then_close=True))
    reader, writer = await bench.client()
    writer.write(GET)

    assert await asyncio.wait_for(reader.read(), 2) == wire
    assert bench.relay.counters["upstream_deaths"] == 0


async def test_an_engine_that_is_down_is_a_502_in_the_openai_shape(start: Start) -> None:
    bench = await start(engine_up=False)
    head, _, body = (await bench.ask(POST)).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert b"Connection: close" in head
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == "upstream_unreachable"
    assert bench.caused() == {"upstream_unreachable": 1}
    closed = bench.relay.exchanges.drain()[0].closed
    assert closed is not None
    assert (closed.ending, closed.status) == (Ending.ERROR, 502)


async def test_our_answer_to_head_has_no_body(start: Start) -> None:
    bench = await start(engine_up=False)
    answer = await bench.ask(b"HEAD /health HTTP/1.1\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 502")
    assert answer.endswith(b"\r\n\r\n")


async def test_an_engine_that_closes_before_it_answers_is_a_502(start: Start) -> None:
    bench = await start(reply(b"", then_close=True))

    assert (await bench.ask(POST)).startswith(b"HTTP/1.1 502 ")
    assert bench.caused() == {"upstream_closed": 1}


async def test_a_client_that_leaves_takes_its_upstream_with_it(start: Start) -> None:
    bench = await start(reply(CHAT_ESTIMATED.wire[:300]))
    reader, writer = await bench.client()
    writer.write(POST)
    await reader.readexactly(300)
    writer.close()
    await asyncio.wait_for(bench.engine.ended[0].wait(), 2)

    assert bench.relay.counters["clients_left"] == 1
    closed = bench.relay.exchanges.drain()[0].closed
    assert closed is not None
    assert closed.ending is Ending.CLIENT_LEFT


async def test_an_engine_that_closes_an_idle_connection_costs_the_next_request_nothing(start: Start) -> None:
    bench = await start(reply(ANSWER, then_close=True))
    reader, writer = await bench.client()
    for _ in range(3):
        writer.write(GET)
        assert await asyncio.wait_for(reader.readexactly(len(ANSWER)), 2) == ANSWER
        (connection,) = bench.relay.connections
        assert isinstance(connection, ClientConnection)
        await until(lambda: connection._upstream is None)  # noqa: B023 — awaited here

    assert [bytes(received) for received in bench.engine.received] == [GET] * 3
    assert bench.caused() == {}


@pytest.mark.parametrize(
    "last",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    ],
)
async def test_a_connection_whose_end_was_announced_ends(start: Start, last: bytes) -> None:
    bench = await start(reply(last, then_close=True))
    reader, writer = await bench.client()
    writer.write(GET)

    assert await asyncio.wait_for(reader.read(), 2) == last
    assert bench.caused() == {}


async def test_an_idle_upstream_is_let_go_before_its_server_would_close_it_and_the_client_much_later(
    start: Start,
) -> None:
    bench = await start()
    reader, writer = await bench.client()
    writer.write(GET)
    await reader.readexactly(len(ANSWER))
    (connection,) = bench.relay.connections
    now = boottime_ns()
    connection.rest(now + 1_000_000_000)
    assert not bench.engine.ended[0].is_set()
    connection.rest(now + 3_000_000_000)
    await asyncio.wait_for(bench.engine.ended[0].wait(), 2)
    writer.write(GET)
    assert await reader.readexactly(len(ANSWER)) == ANSWER
    connection.rest(boottime_ns() + 600_000_000_000)
    assert not reader.at_eof()
    connection.rest(boottime_ns() + 660_000_000_000)
    assert await asyncio.wait_for(reader.read(), 2) == b""


async def test_a_request_under_way_is_never_at_rest(start: Start) -> None:
    bench = await start(reply(ANSWER[:-1]))
    reader, writer = await bench.client()
    writer.write(GET)
    await reader.readexactly(len(ANSWER) - 1)
    (connection,) = bench.relay.connections
    connection.rest(boottime_ns() + 10**12)

    assert not bench.engine.ended[0].is_set()
    assert await bench.read(reader) == b""
    assert not reader.at_eof()


async def test_draining_lets_open_answers_end_and_closes_idle_connections(start: Start) -> None:
    gate = asyncio.Event()
    token = event(chat({"content": "a"}))

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            writer.write(ANSWER)
            return
        await reader.readexactly(len(BODY))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(token))
        await gate.wait()
        writer.write(token)

    bench = await start(script)
    idle_reader, idle = await bench.client()
    idle.write(GET)
    await idle_reader.readexactly(len(ANSWER))
    busy_reader, busy = await bench.client()
    busy.write(POST)
    await busy_reader.readuntil(b"\r\n\r\n")
    draining = asyncio.create_task(bench.worker.drain(5))
    assert await asyncio.wait_for(idle_reader.read(), 2) == b""
    gate.set()

    assert await asyncio.wait_for(busy_reader.read(), 2) == token
    assert await asyncio.wait_for(draining, 2)
    assert bench.caused() == {}


async def test_what_has_not_ended_at_the_deadline_is_reset_and_counted_as_ours(start: Start) -> None:
    bench = await start(reply(CHAT_ESTIMATED.wire[:300]))
    reader, writer = await bench.client()
    writer.write(POST)
    await reader.readexactly(300)
    assert not await bench.worker.drain(0.05)
    bench.worker.cut()

    with pytest.raises(ConnectionResetError):
        await reader.read()
    assert bench.caused() == {"shutdown": 1}
