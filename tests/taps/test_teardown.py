"""Answers reach clients that are still sending when the connection ends; what was cut short never looks whole."""

from __future__ import annotations

import asyncio
import http.client
import socket
import time

import pytest

from tests.taps.conftest import ANSWER, Script, Start, until
from watchtower.taps import teardown
from watchtower.taps.teardown import Teardown

TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 9\r\n%b\r\ntoo large"
BODY = b"x" * 20_000_000


def early(answer: bytes, *, closes: bool) -> Script:
    """Answers before the request's body is there; a server that lingers reads on and throws away."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if closes:
            writer.write_eof()
        while await reader.read(1 << 20):
            pass

    return script


EARLY = {
    "one that closes": early(TOO_LARGE % b"connection: close\r\n", closes=True),
    "one that says so and reads on": early(TOO_LARGE % b"connection: close\r\n", closes=False),
    "one that just closes": early(TOO_LARGE % b"", closes=True),
    "one whose end is the connection's": early(b"HTTP/1.1 413 Too Large\r\n\r\ntoo large", closes=True),
}


def post(port: int) -> tuple[int, bytes]:
    """A client that reads only after it has sent everything, and gives up when that fails."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/v1/chat/completions", BODY)
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.mark.parametrize("script", EARLY.values(), ids=EARLY.keys())
async def test_an_early_answer_reaches_a_client_that_still_uploads(start: Start, script: Script) -> None:
    bench = await start(script)
    for _ in range(3):
        assert await asyncio.to_thread(post, bench.port) == (413, b"too large")
    assert bench.caused() == {}


async def test_our_own_refusal_reaches_a_client_that_still_uploads(start: Start) -> None:
    bench = await start(engine_up=False)
    for _ in range(3):
        status, body = await asyncio.to_thread(post, bench.port)
        assert (status, b"upstream_unreachable" in body) == (502, True)


async def test_an_early_answer_on_a_connection_that_stays_costs_the_next_request_nothing(start: Start) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await reader.readexactly(1000)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)

    bench = await start(script)
    reader, writer = await bench.client()
    writer.write(b"POST /v1/files HTTP/1.1\r\nContent-Length: 1000\r\n\r\n" + b"x" * 500)
    assert await asyncio.wait_for(reader.readexactly(len(ANSWER)), 2) == ANSWER
    writer.write(b"x" * 500 + b"GET /health HTTP/1.1\r\n\r\n")
    assert await asyncio.wait_for(reader.readexactly(len(ANSWER)), 2) == ANSWER


async def test_a_client_that_says_no_more_is_not_listened_to_for_long(start: Start) -> None:
    bench = await start(engine_up=False)
    reader, writer = await bench.client()
    writer.write(b"POST /v1/files HTTP/1.1\r\nContent-Length: 1000\r\n\r\n")
    assert (await asyncio.wait_for(reader.read(), 2)).startswith(b"HTTP/1.1 502")
    with pytest.raises(ConnectionError):  # noqa: PT012 — whenever it notices
        await until(lambda: not bench.relay.connections, 5)
        for _ in range(10):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("reads", [False, True], ids=["reads nothing", "reads on"])
async def test_the_end_of_an_answer_waits_for_a_client_that_reads_on_and_for_no_other(
    monkeypatch: pytest.MonkeyPatch, reads: bool
) -> None:
    monkeypatch.setattr(teardown, "UNREAD_SECONDS", 0.05)
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    lost: asyncio.Future[Exception | None] = loop.create_future()

    class Server(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            lost.set_result(exc)

    transport, _ = await loop.create_connection(Server, sock=ours)
    transport.write(b"x" * 4_000_000)
    ending = Teardown(loop)
    ending.made(transport)
    ending.finish()
    taken = 0
    while reads and taken < 4_000_000:
        taken += len(await asyncio.wait_for(loop.sock_recv(theirs, 1 << 20), 2))
        await asyncio.sleep(0.002)
    await asyncio.wait_for(lost, 2)
    theirs.close()


async def test_a_slow_client_gets_everything_of_an_answer_that_was_cut_short(start: Start) -> None:
    head, part = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", b"x" * 780_000

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + part)
        writer.close()

    def slow(port: int) -> tuple[int, bool]:
        got, reset = 0, False
        with socket.socket() as client:
            client.settimeout(10)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port))
            client.sendall(b"GET /health HTTP/1.1\r\nHost: e\r\n\r\n")
            time.sleep(0.5)
            try:
                while piece := client.recv(16_384):
                    got += len(piece)
            except ConnectionResetError:
                reset = True
        return got, reset

    bench = await start(script)
    assert await asyncio.to_thread(slow, bench.port) == (len(head + part), True)
