"""The bench's clients believe no stream that is not whole."""

from __future__ import annotations

import asyncio

import pytest

from watchtower.clock import boottime_ns
from watchtower.lab.benchmarks.clients import Load, quantile, run
from watchtower.lab.benchmarks.paced_engine import http_chunk

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = http_chunk(b"data: [DONE]\n\n")
END = b"0\r\n\r\n"


def chunk(number: int) -> bytes:
    text = b'data: {"choices":[{"delta":{"content":"%d.%d"}}]}\n\n'
    return http_chunk(text % (boottime_ns() - 5_000_000, number))


async def heard(answer: bytes, *, close: bool = True) -> tuple[int, int]:
    """(whole streams, chunks) of one stream that should have three."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}}")
        writer.write(answer)
        if close:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found = await run(Load(port=port, path="/", streams=1, tokens=3, deadline_seconds=0.5))
    server.close()
    return found.complete, found.chunks


@pytest.mark.parametrize("close", [True, False])
async def test_a_whole_stream_is_complete_whether_or_not_the_connection_closes(close: bool) -> None:
    assert await heard(HEAD + chunk(1) + chunk(2) + chunk(3) + DONE + END, close=close) == (1, 3)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(chunk(1) + chunk(3) + chunk(3) + DONE + END, id="one missing, one twice"),
        pytest.param(chunk(1) + chunk(3) + chunk(2) + DONE + END, id="out of order"),
        pytest.param(chunk(1) + chunk(2) + DONE + END, id="too few"),
        pytest.param(chunk(1) + chunk(2) + DONE + chunk(3) + END, id="after the end marker"),
        pytest.param(chunk(1) + chunk(2) + chunk(3) + END, id="no end marker"),
        pytest.param(chunk(1) + chunk(2) + chunk(3) + DONE, id="no end of the message"),
        pytest.param(b"no chunk at all", id="not HTTP"),
    ],
)
async def test_anything_less_is_incomplete(body: bytes) -> None:
    assert (await heard(HEAD + body))[0] == 0


async def test_a_refusal_is_incomplete() -> None:
    assert await heard(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n") == (0, 0)


async def test_nobody_there_is_incomplete() -> None:
    found = await run(Load(port=1, path="/", streams=2, tokens=3, deadline_seconds=0.5))
    assert (found.complete, found.chunks) == (0, 0)


def test_quantiles_are_nearest_ranks() -> None:
    assert [quantile(list(range(1, 101)), q) for q in (0.5, 0.99, 1)] == [51, 100, 100]
    assert quantile([], 0.5) == 0
