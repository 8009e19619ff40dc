"""What one client may cost the others: its share of time, its place, its descriptor."""

from __future__ import annotations

import asyncio
import socket
from itertools import pairwise
from pathlib import Path

import pytest

from tests.taps.conftest import ANSWER, Bench, Script, Start, answer_everything, until
from watchtower.clock import boottime_ns
from watchtower.exchanges.requests import MOST_WORK
from watchtower.taps import relay_worker
from watchtower.taps.bypass import bypass_path, write_bypass
from watchtower.vocabulary.facts import Bypassed, Ending

GET = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"


def later(bench: Bench, seconds: float) -> None:
    """The worker looks at its connections now, and ``seconds`` after that."""
    for at in (0, round(seconds * 1e9)):
        now_ns = boottime_ns() + at
        for connection in list(bench.relay.connections):
            connection.rest(now_ns)


# ── time ────────────────────────────────────────────────────────────────────────────────────────


async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    last = b""
    while not last.endswith(b"\r\n0\r\n\r\n"):
        last = last[-7:] + await reader.read(1 << 16)
    writer.write(ANSWER)
    await answer_everything(reader, writer)


async def answer_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1 << 20)


async def test_an_upload_of_tiny_chunks_goes_on_in_the_next_turn(start: Start) -> None:
    bench = await start(swallow)
    chunks = MOST_WORK * 20
    upload = b"POST /v1/files HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * chunks + b"0\r\n\r\n"
    turns = 0

    def turn() -> None:
        nonlocal turns
        turns += 1
        if not done.done():
            asyncio.get_running_loop().call_soon(turn)

    reader, writer = await bench.client()
    writer.write(upload)
    done = asyncio.ensure_future(reader.readexactly(len(ANSWER)))
    turn()
    assert await asyncio.wait_for(done, 20) == ANSWER
    assert turns >= 20
    writer.write(GET)
    assert await asyncio.wait_for(reader.readexactly(len(ANSWER)), 2) == ANSWER
    assert bytes(bench.engine.received[0]) == upload + GET


async def test_many_connections_are_looked_at_a_few_a_turn(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_worker, "REST_SECONDS", 0.01)
    monkeypatch.setattr(relay_worker, "MOST_A_TURN", 4)
    bench = await start(client_idle_seconds=0.05)
    clients = [await bench.client() for _ in range(10)]
    gone: list[float] = []

    def turn() -> None:
        gone.append(bench.relay.counters["connections"] - len(bench.relay.connections))
        if len(gone) < 100_000 and bench.relay.connections:
            asyncio.get_running_loop().call_soon(turn)

    await until(lambda: bench.relay.counters["connections"] == 10)
    turn()
    for reader, _ in clients:
        assert await asyncio.wait_for(reader.read(), 2) == b""
    assert max(after - before for before, after in pairwise(gone)) <= 4


async def bypassed(start: Start, script: Script, directory: Path) -> Bench:
    bench = await start(script)
    write_bypass(bypass_path(directory), Bypassed(author="anna", reason="is it us?", since_wall=1.0))
    await until(lambda: bench.relay.bypassed is not None)
    return bench


async def test_requests_that_wait_for_no_answer_take_turns_as_well(start: Start, tmp_path: Path) -> None:
    async def swallow_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1 << 16):
            pass

    bench = await bypassed(start, swallow_all, tmp_path)
    _, writer = await bench.client()
    writer.write(GET * 2000)
    await until(lambda: bool(bench.engine.received) and len(bench.engine.received[0]) == len(GET) * 2000, 10)
    assert bench.relay.counters["requests"] == 2000


async def test_an_upgrade_among_requests_that_wait_for_no_answer_is_scanned(start: Start, tmp_path: Path) -> None:
    bench = await bypassed(start, answer_nothing, tmp_path)
    reader, writer = await bench.client()
    upgrade = b"GET /v1/models HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    writer.write(upgrade + b"POST /v1/completions HTTP/1.1\r\nContent-Length: 24\r\n\r\nPOST /sleep HTTP/1.1\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 2)
    assert bench.caused() == {"guarded_opaque": 1}
    assert not any(b"/sleep" in received for received in bench.engine.received)


# ── framing that is intact ──────────────────────────────────────────────────────────────────────


async def test_where_only_answers_cannot_be_followed_bodies_are_not_looked_at_and_targets_are_guarded(
    start: Start,
) -> None:
    async def both_lengths(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
            )

    bench = await start(both_lengths)
    prompt = b'{"prompt": "POST /sleep HTTP/1.1 or https://me.example/resume "}'
    request = b"POST /v1/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(prompt), prompt)
    reader, writer = await bench.client()
    for _ in range(3):
        writer.write(request)
        assert (await bench.read(reader)).endswith(b"2\r\n{}\r\n0\r\n\r\n")
    assert bytes(bench.engine.received[0]) == request * 3
    writer.write(b"POST /sleep HTTP/1.1\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(), 2)).startswith(b"HTTP/1.1 403 ")
    assert b"/sleep HTTP" not in bytes(bench.engine.received[0]).replace(request, b"")


@pytest.mark.parametrize(
    "request_head", [b"GET / HTTP/1.1\nHost: x\n\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"]
)
async def test_the_answer_to_what_cannot_be_framed_comes_whole(start: Start, request_head: bytes) -> None:
    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        for part in (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"2\r\n{}\r\n", b"0\r\n\r\n"):
            writer.write(part)
            await asyncio.sleep(0.02)

    bench = await start(stream)
    reader, writer = await bench.client()
    writer.write(request_head)
    assert (await bench.read(reader)).endswith(b"\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    assert bytes(bench.engine.received[0]) == request_head
    assert not reader.at_eof()


# ── places ──────────────────────────────────────────────────────────────────────────────────────


async def test_one_request_too_many_is_told_so(start: Start) -> None:
    gate = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await gate.wait()
        writer.write(ANSWER)

    bench = await start(slow, max_connections=1)
    first_reader, first = await bench.client()
    first.write(GET)
    await until(lambda: bool(bench.engine.received))
    refused = await bench.ask(GET)

    assert refused.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"Retry-After: 1\r\n" in refused
    assert bench.caused() == {"connection_limit": 1}
    gate.set()
    assert await first_reader.readexactly(len(ANSWER)) == ANSWER
    assert await bench.ask(GET) == ANSWER, "an idle connection keeps nobody out"


async def test_half_sent_heads_keep_nobody_out(start: Start) -> None:
    bench = await start(max_connections=4)
    for _ in range(12):
        _, writer = await bench.client()
        writer.write(b"POST /v1/completions HTTP/1.1\r\nX: ")
    await until(lambda: bench.relay.counters["connections"] == 12)

    assert await bench.ask(GET) == ANSWER
    assert bench.relay.counters["clients_let_go"] == 9
    assert len(bench.relay.connections) <= 5


# ── deadlines ───────────────────────────────────────────────────────────────────────────────────


async def test_a_head_that_does_not_come_whole_in_time_is_answered_408(start: Start) -> None:
    bench = await start(head_seconds=10)
    reader, writer = await bench.client()
    writer.write(GET[:-2])
    await until(lambda: any(not connection.idle for connection in bench.relay.connections))
    later(bench, 9)
    assert await bench.read(reader) == b""
    writer.write(b"X")  # a byte now and then buys no time
    await asyncio.sleep(0.02)
    for connection in list(bench.relay.connections):
        connection.rest(boottime_ns() + 11_000_000_000)

    assert (await asyncio.wait_for(reader.read(), 2)).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert bench.caused() == {"request_timeout": 1}
    assert bench.engine.received == []


async def test_a_head_after_an_answer_has_its_own_deadline(start: Start) -> None:
    bench = await start(head_seconds=10)
    reader, writer = await bench.client()
    writer.write(GET + GET[:-2])
    assert await reader.readexactly(len(ANSWER)) == ANSWER
    later(bench, 9)
    writer.write(b"\r\n")
    assert await reader.readexactly(len(ANSWER)) == ANSWER


async def test_a_body_that_stops_coming_is_answered_408_and_says_nothing_of_the_engine(start: Start) -> None:
    bench = await start(body_pause_seconds=10)
    reader, writer = await bench.client()
    writer.write(HEAD.replace(b"100", b"99000") + b"x" * 9000)
    await until(lambda: bool(bench.engine.received) and len(bench.engine.received[0]) == len(HEAD) + 9002)
    (connection,) = bench.relay.connections
    now_ns = boottime_ns()
    for second in (0, 1, 9):
        connection.rest(now_ns + second * 10**9)
    writer.write(b"x")
    await until(lambda: len(bench.engine.received[0]) == len(HEAD) + 9003)
    for second in (10, 11, 20):
        connection.rest(now_ns + second * 10**9)
    assert await bench.read(reader) == b""
    connection.rest(now_ns + 21 * 10**9)

    assert (await asyncio.wait_for(reader.read(), 2)).startswith(b"HTTP/1.1 408 ")
    closed = bench.relay.exchanges.drain()[0].closed
    assert closed is not None
    assert closed.ending is Ending.CLIENT_LEFT
    await asyncio.wait_for(bench.engine.ended[0].wait(), 2)


async def test_a_body_that_trickles_is_answered_408(start: Start) -> None:
    bench = await start(body_pause_seconds=10)
    reader, writer = await bench.client()
    writer.write(HEAD)
    await until(lambda: bool(bench.engine.received))
    (connection,) = bench.relay.connections
    now_ns = boottime_ns()
    for second in range(11):
        writer.write(b"x")
        await asyncio.sleep(0.01)
        connection.rest(now_ns + second * 10**9)
    connection.rest(now_ns + 11 * 10**9)
    assert (await asyncio.wait_for(reader.read(), 2)).startswith(b"HTTP/1.1 408 ")


UNFINISHED = {
    "half a head with one bare LF": b"GET /health HTTP/1.1\nHost: e\r\n",
    "the beginning of a head that is too long": b"GET /health HTTP/1.1\r\nX: " + b"x" * 66_000,
    "chunks that HTTP/1.0 does not have": b"POST /v1/completions HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "an upgrade of protocol without one": b"\x16\x03\x01",
}


@pytest.mark.parametrize("first", UNFINISHED.values(), ids=UNFINISHED.keys())
async def test_what_cannot_be_framed_and_does_not_go_on_keeps_no_place(start: Start, first: bytes) -> None:
    bench = await start(answer_nothing, body_pause_seconds=10, max_connections=1)
    reader, writer = await bench.client()
    writer.write(first)
    await until(lambda: bool(bench.engine.received) and len(bench.engine.received[0]) == len(first))
    later(bench, 9)
    assert await bench.read(reader) == b"" and not reader.at_eof()
    later(bench, 300)
    later(bench, 320)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 2)
    assert bench.caused() == {"request_timeout": 1}
    await until(lambda: bench.relay.places.taken == 0)


SESSIONS = {
    "an upgrade": b"GET /v1/realtime HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    "TLS": b"\x16\x03\x01",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("first", SESSIONS.values(), ids=SESSIONS.keys())
async def test_a_session_that_the_engine_accepted_may_be_silent(start: Start, first: bytes) -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.write(switch)
        await reader.read(1 << 16)

    bench = await start(accept, body_pause_seconds=10)
    reader, writer = await bench.client()
    writer.write(first)
    assert await asyncio.wait_for(reader.readexactly(len(switch)), 2) == switch
    writer.write(b"more")
    await until(lambda: len(bench.engine.received[0]) == len(first) + 4)
    later(bench, 5000)
    later(bench, 10_000)
    assert await bench.read(reader) == b"" and not reader.at_eof()


async def test_an_unframed_request_that_was_answered_once_keeps_no_place_for_ever(start: Start) -> None:
    async def first_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.write(ANSWER)
        await reader.read(1 << 16)

    bench = await start(first_only, body_pause_seconds=10, client_idle_seconds=100)
    reader, writer = await bench.client()
    writer.write(b"GET /health HTTP/1.1\nHost: e\n\nGET /hea")
    assert await asyncio.wait_for(reader.readexactly(len(ANSWER)), 2) == ANSWER
    later(bench, 90)
    assert await bench.read(reader) == b"" and not reader.at_eof()
    later(bench, 101)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 2)


UNTIL_THE_END = {
    "a coding that is not chunked": (b"GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc"),
    "chunked, but not last": (b"GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, x\r\n\r\nabc"),
    "HEAD with bare LF": (b"HEAD", b"HTTP/1.1 200 OK\nContent-Length: 5\n\n"),
}


@pytest.mark.parametrize(("method", "answer"), UNTIL_THE_END.values(), ids=UNTIL_THE_END.keys())
async def test_an_answer_that_ends_with_the_connection_ends_neatly(start: Start, method: bytes, answer: bytes) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for begin in range(0, len(answer), 7):
            writer.write(answer[begin : begin + 7])
            await asyncio.sleep(0.002)
        writer.write_eof()

    bench = await start(once)
    reader, writer = await bench.client()
    writer.write(method + b" /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 2) == answer
    assert bench.relay.counters["upstream_deaths"] == 0


async def test_an_answer_in_chunks_that_lacks_its_end_is_cut(start: Start) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n")
        writer.write_eof()

    bench = await start(once)
    reader, writer = await bench.client()
    writer.write(GET)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 2)


async def unread(start: Start, answer: bytes) -> Bench:
    """An answer under way or at its end, of which the client reads nothing."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await reader.read(1)

    bench = await start(script, client_idle_seconds=100)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", bench.port))
    _, writer = await asyncio.open_connection(sock=client, limit=1024)
    bench.clients.append(writer)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(GET)
    await until(lambda: bench.relay.counters["clients_slow"] > 0)
    await asyncio.sleep(0.1)
    return bench


async def test_a_client_that_reads_nothing_of_its_answer_is_reset_in_the_end_and_counted(start: Start) -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n" + b"x" * 8_000_000
    bench = await unread(start, answer)
    later(bench, 99)
    assert bench.caused() == {} and bench.relay.places.taken == 1
    (connection,) = bench.relay.connections
    connection.rest(boottime_ns() + 120 * 10**9)
    assert bench.caused() == {"answer_unread": 1}
    await until(lambda: not bench.relay.connections)


async def test_a_body_that_the_engine_asked_for_must_come_and_one_that_it_has_not_need_not(start: Start) -> None:
    ask = asyncio.Event()

    async def asks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await ask.wait()
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await reader.read(1 << 20)

    bench = await start(asks, body_pause_seconds=10)
    reader, writer = await bench.client()
    writer.write(HEAD.replace(b"Host", b"Expect: 100-continue\r\nHost"))
    await until(lambda: bool(bench.engine.received))
    later(bench, 1)
    later(bench, 100)
    assert await bench.read(reader) == b"" and not reader.at_eof()
    ask.set()
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)).startswith(b"HTTP/1.1 100 ")
    later(bench, 1)
    later(bench, 11)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 2)
    assert bench.caused() == {"request_timeout": 1}


async def test_a_request_that_waits_for_the_engine_has_no_deadline(start: Start) -> None:
    bench = await start(answer_nothing)
    reader, writer = await bench.client()
    writer.write(HEAD + b"x" * 100 + GET[:5])
    await until(lambda: bool(bench.engine.received))
    later(bench, 10_000)
    later(bench, 10_000)

    assert await bench.read(reader) == b""
    assert not reader.at_eof()


async def test_a_silent_client_may_stay_as_long_as_any_idle_one(start: Start) -> None:
    bench = await start(client_idle_seconds=100)
    reader, _ = await bench.client()
    await until(lambda: bool(bench.relay.connections))
    later(bench, 99)
    assert await bench.read(reader) == b"" and not reader.at_eof()
    later(bench, 101)
    assert await asyncio.wait_for(reader.read(), 2) == b""
    assert reader.at_eof()


async def test_an_idle_connection_that_the_engine_resets_as_the_next_request_comes_is_nobodys_failure(
    start: Start,
) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(HEAD) + 100)
        writer.write(ANSWER)
        await reader.readexactly(10)
        writer.transport.abort()

    bench = await start(once)
    reader, writer = await bench.client()
    writer.write(HEAD + b"x" * 100)
    assert await reader.readexactly(len(ANSWER)) == ANSWER
    writer.write(HEAD + b"x" * 100)
    assert (await asyncio.wait_for(reader.read(), 2)).startswith(b"HTTP/1.1 502 ")
    endings = [news.closed.ending for news in bench.relay.exchanges.drain() if news.closed is not None]
    assert endings[-1] is Ending.OURS
