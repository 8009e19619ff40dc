"""The line to the daemon: it may break, and it never costs a client anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest
import pytest_asyncio

from tests.exchanges.streams import STREAM_HEAD, chat, event
from tests.taps.conftest import Start, until
from watchtower.clock import boottime
from watchtower.exchanges.dialects.openai_chat import OPENAI_CHAT
from watchtower.exchanges.responses import ResponseReader
from watchtower.taps import reports
from watchtower.taps.bypass import bypass_path, write_bypass
from watchtower.taps.framing import Deframer, frame
from watchtower.taps.reports import Reporter
from watchtower.vocabulary.facts import (
    ORDERS,
    Bypassed,
    HoldOrder,
    OrderNotUnderstood,
    RelayFrame,
    RelayHello,
    RelayMessage,
    ServingOrder,
    WorkerOrder,
)

UNKNOWN_ORDER = msgspec.msgpack.encode({"order": "reroute", "op_id": "op-2"})


class Listener:
    """A daemon that only listens."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.messages: list[RelayMessage] = []
        self.writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        deframer: Deframer[RelayMessage] = Deframer(msgspec.msgpack.Decoder(RelayMessage))
        try:
            while data := await reader.read(65536):
                self.messages += deframer.feed(data)
        finally:
            writer.close()

    @property
    def frames(self) -> list[RelayFrame]:
        return [message for message in self.messages if isinstance(message, RelayFrame)]

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        if self.writer is not None:
            self.writer.close()


@pytest_asyncio.fixture
async def listener(tmp_path: Path) -> AsyncIterator[Listener]:
    listener = Listener(tmp_path / "facts.sock")
    yield listener
    listener.stop()
    await asyncio.sleep(0.02)


async def test_news_gathers_while_the_daemon_is_away_and_is_bounded(
    start: Start, tmp_path: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MAX_GAPS_KEPT", 10)
    bench = await start(facts=str(tmp_path / "facts.sock"))
    reporter = Reporter(bench.relay, 1, "0", "here")
    reporter.start()
    exchange = bench.relay.exchanges.begin(1, "/v1/completions")
    for ns in range(100, 2000, 100):
        exchange.fresh = 1
        exchange.tokens_read(ns)
    await until(lambda: bench.relay.exchanges.dropped == 18)
    await listener.start()
    await until(lambda: bool(listener.frames))

    hello = listener.messages[0]
    assert isinstance(hello, RelayHello)
    assert all(hello.obeys(order) for order in ORDERS)
    first = listener.frames[0]
    assert (first.dropped_news, first.open_exchanges) == (18, 1)
    assert (first.news[0].gaps_ns, first.news[0].first_tokens) == ([], 1)

    listener.stop()
    await until(lambda: reporter._transport is None)
    listener.messages.clear()
    await listener.start()
    await until(lambda: bool(listener.frames))
    assert isinstance(listener.messages[0], RelayHello)
    assert listener.frames[0].news[0].opened is not None, "open exchanges are told again after a reconnect"
    bench.relay.draining = True
    reporter.close()
    listener.stop()


async def test_what_was_put_off_is_read_at_every_tick_even_while_the_daemon_is_away(start: Start) -> None:
    bench = await start()
    Reporter(bench.relay, 1, "0", "here").start()
    reader, exchange = ResponseReader(lambda name: None), bench.relay.exchanges.begin(1, OPENAI_CHAT.routes[0])
    reader.expect("POST", exchange, OPENAI_CHAT)
    token = event(chat({"content": "a"}))
    for ns, read in enumerate((STREAM_HEAD, *[b"%x\r\n%b\r\n" % (len(token), token)] * 4), start=2):
        reader.feed(read, ns)
    assert len(bench.relay.exchanges.backlog) == 3

    await until(lambda: not bench.relay.exchanges.backlog)

    assert exchange.gaps_waiting == 3


def test_a_worker_names_every_order_that_it_obeys() -> None:
    assert set(ORDERS) == {order.__struct_config__.tag for order in get_args(WorkerOrder)}


async def test_a_frame_tells_what_passed_unread_who_was_reached_and_who_had_it_bypassed(
    start: Start, tmp_path: Path, listener: Listener
) -> None:
    await listener.start()
    bench = await start(facts=str(tmp_path / "facts.sock"))
    reporter = Reporter(bench.relay, 1, "0", "here")
    reporter.start()
    await until(lambda: bool(listener.frames))
    await bench.ask(b"POST /cohere/v2/chat HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")
    await until(lambda: bool(listener.frames[-1].routes), seconds=0.5)
    told = listener.frames[-1]
    assert [(route.route, route.requests) for route in told.routes] == [("/cohere/v2/chat", 1)]
    assert [contact.kind for contact in told.contacts] == ["http"]
    assert (told.answering, told.unread, told.bypassed) == (0, 0, None)

    anna = Bypassed(author="anna", reason="why", since_wall=1.0)
    write_bypass(bypass_path(tmp_path), anna)
    await until(lambda: listener.frames[-1].bypassed == anna, seconds=1.0)
    assert listener.frames[-1].routes == [], "only what changed"
    assert listener.writer is not None
    listener.writer.transport.abort()
    await until(lambda: sum(isinstance(message, RelayHello) for message in listener.messages) == 2)
    await until(lambda: bool(listener.frames[-1].routes), seconds=0.5)
    bench.relay.draining = True
    reporter.close()


async def test_the_daemons_word_on_the_engine_reaches_the_port(
    start: Start, tmp_path: Path, listener: Listener
) -> None:
    await listener.start()
    bench = await start(facts=str(tmp_path / "facts.sock"))
    reporter = Reporter(bench.relay, 1, "0", "here")
    reporter.start()
    await until(lambda: bool(listener.frames))
    assert listener.writer is not None
    order = ServingOrder(known=True, serving=False, reason="it hangs", until=boottime() + 9)
    listener.writer.write(frame(order))
    await until(lambda: bench.relay.serving.status(boottime()) == 503, seconds=0.5)
    bench.relay.draining = True
    reporter.close()


async def test_a_hold_is_acknowledged_at_once_an_unknown_order_is_answered_and_garbage_costs_only_the_connection(
    start: Start, tmp_path: Path, listener: Listener
) -> None:
    await listener.start()
    bench = await start(facts=str(tmp_path / "facts.sock"))
    reporter = Reporter(bench.relay, 1, "0", "here")
    reporter.start()
    await until(lambda: bool(listener.frames))
    assert listener.writer is not None
    order = HoldOrder(op_id="op-1", seconds=9, wait_seconds=1, max_parked=1, max_bytes=1)
    listener.writer.write(frame(order))
    await until(lambda: listener.frames[-1].hold_op == "op-1", seconds=0.5)
    listener.writer.write(len(UNKNOWN_ORDER).to_bytes(4, "big") + UNKNOWN_ORDER)
    await until(lambda: any(isinstance(message, OrderNotUnderstood) for message in listener.messages))
    assert listener.frames[-1].hold_op == "op-1", "it goes on as if nothing had been said"
    listener.writer.write(b"\xff\xff\xff\xff")
    await until(lambda: sum(isinstance(message, RelayHello) for message in listener.messages) == 2)

    assert listener.frames[-1].hold_op == "op-1"
    bench.relay.draining = True
    bench.relay.hold.release()
    reporter.close()
    listener.stop()
