"""A dialect is added with one file and one line, and hold, guard, reader and counts know it at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.exchanges.streams import chunked
from tests.extending.a_dialect import LINES
from tests.taps.conftest import Bench, Engine, pytest_asyncio_loop_factories, until
from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.dialects import DIALECTS
from watchtower.taps.listening import bound
from watchtower.taps.relay_plan import RelayPlan
from watchtower.taps.relay_worker import RelayWorker
from watchtower.taps.socket_addresses import Address
from watchtower.vocabulary.facts import Ending, HoldOrder, ReleaseOrder

__all__ = ["pytest_asyncio_loop_factories"]

ONE_LINE_MORE = (*DIALECTS, LINES)
POST = b"POST /cohere/v2/chat HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(
    b'{"text": "a"}\n', b'{"text": "b"}\n{"do', b'ne": true}\n'
)
Start = Callable[[tuple[Dialect, ...]], Awaitable[Bench]]


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(ANSWER)


@pytest_asyncio.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    benches: list[Bench] = []

    async def begin(dialects: tuple[Dialect, ...]) -> Bench:
        engine = Engine(answer)
        await engine.start()
        upstream = f"http://127.0.0.1:{engine.port}"
        plan = RelayPlan(worker=0, listen="127.0.0.1:0", run_directory=str(tmp_path), upstream=upstream)
        worker = RelayWorker(plan, asyncio.get_running_loop(), os.getpid(), dialects)
        listening = bound(Address(host="127.0.0.1"))
        port = listening.getsockname()[1]
        await worker.listen(listening)
        benches.append(Bench(worker, engine, port))
        return benches[-1]

    yield begin
    for bench in benches:
        for writer in bench.clients:
            writer.close()
        await bench.worker.drain(0.05)
        bench.worker.cut()
        await bench.engine.stop()
    await asyncio.sleep(0.02)


async def test_its_answers_are_read(start: Start) -> None:
    bench = await start(ONE_LINE_MORE)

    assert await bench.ask(POST) == ANSWER
    (news,) = bench.relay.exchanges.drain()
    assert news.opened is not None and news.closed is not None
    assert (news.opened.model, news.opened.stream) == ("invented", True)
    assert (news.first_tokens + sum(news.tokens), news.closed.ending) == (2, Ending.COMPLETE)
    assert bench.relay.counters["responses_unobserved"] == 0


async def test_without_its_line_they_are_forwarded_and_counted_as_unread(start: Start) -> None:
    bench = await start(DIALECTS)

    assert await bench.ask(POST) == ANSWER
    assert bench.relay.exchanges.drain() == []
    assert bench.relay.counters["responses_unobserved"] == 1


async def test_a_hold_parks_its_requests(start: Start) -> None:
    bench = await start(ONE_LINE_MORE)
    bench.relay.hold.obey(HoldOrder(op_id="op-1", seconds=9, wait_seconds=5, max_parked=4, max_bytes=10_000))
    asking = asyncio.create_task(bench.ask(POST))
    await until(lambda: bench.relay.hold.parked == 1)
    bench.relay.hold.obey(ReleaseOrder(op_id="op-1"))

    assert await asking == ANSWER


@pytest.mark.parametrize("route", LINES.routes)
async def test_the_guard_lets_it_pass(start: Start, route: str) -> None:
    bench = await start(ONE_LINE_MORE)

    assert not bench.relay.guard.refuses(route)
    assert bench.relay.routes.dialect(route) is LINES
