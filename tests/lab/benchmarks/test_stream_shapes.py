"""What the bench's engine writes is read by the dialect that it is named after, and by the bench's own clients."""

from __future__ import annotations

import asyncio

import pytest

from watchtower.clock import boottime_ns
from watchtower.exchanges.dialect import Routes
from watchtower.exchanges.dialects import DIALECTS
from watchtower.exchanges.exchange import ExchangeTable
from watchtower.exchanges.responses import ResponseReader
from watchtower.lab.benchmarks.clients import Load, run
from watchtower.lab.benchmarks.paced_engine import http_chunk
from watchtower.lab.benchmarks.stream_shapes import SHAPES, StreamShape
from watchtower.vocabulary.facts import Ending

TOKENS = 10

each_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=lambda shape: shape.dialect)


def reads(shape: StreamShape) -> list[bytes]:
    stamps = [{b"ns": boottime_ns(), b"n": n, b"total": 24 + n} for n in range(1, TOKENS + 1)]
    last = b"".join(http_chunk(event % stamps[-1]) for event in shape.last) + b"0\r\n\r\n"
    first = shape.head + b"".join(map(http_chunk, shape.first))
    return [first, *(http_chunk(shape.token % stamp) for stamp in stamps), last]


@each_shape
def test_its_dialect_reads_every_token_and_the_end(shape: StreamShape) -> None:
    table, counted = ExchangeTable("0.1"), list[str]()
    reader = ResponseReader(counted.append)
    dialect = next(dialect for dialect in DIALECTS if dialect.name == shape.dialect)
    reader.expect("POST", table.begin(1, shape.path), dialect)

    for ns, read in enumerate(reads(shape), start=2):
        reader.feed(read, ns)

    (news,) = table.drain()
    assert Routes(DIALECTS).dialect(shape.path) is dialect
    assert counted == []
    assert news.first_tokens + sum(news.tokens) + news.more_tokens == TOKENS
    assert news.closed is not None
    assert (news.closed.ending, news.closed.completion_tokens) == (Ending.COMPLETE, TOKENS)


@each_shape
async def test_clients_know_when_it_is_whole(shape: StreamShape) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}}")
        writer.write(b"".join(reads(shape)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    found = await run(Load(port=port, path="/", streams=1, tokens=TOKENS, dialect=shape.dialect, deadline_seconds=2.0))

    server.close()
    assert (found.complete, found.chunks) == (1, TOKENS)
