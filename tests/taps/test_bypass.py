"""Bypassed, the relay forwards and nothing else: nothing is read, nothing waits, nothing is cut, the guard stays."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.taps.conftest import ANSWER, Bench, Start, until
from watchtower.taps.bypass import bypass_path, end_bypass, read_bypass, write_bypass
from watchtower.vocabulary.facts import Bypassed, Ending, HoldOrder

ANNA = Bypassed(author="anna", reason="is it us?", since_wall=1000.0)
ASK = b'POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 13\r\n\r\n{"model":"m"}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b'data: {"model":"m","choices":[{"index":0,"text":"a"}]}\n\n'
CHUNK = b"%x\r\n%s\r\n" % (len(EVENT), EVENT)
LAST = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


class Steps:
    """An engine that streams one event whenever it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Queue[bytes]()

    async def script(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"}")
            writer.write(HEAD)
            while data := await self.go.get():
                writer.write(data)


async def order(bench: Bench, directory: Path, bypassed: Bypassed | None) -> None:
    write_bypass(bypass_path(directory), bypassed) if bypassed else end_bypass(bypass_path(directory))
    await until(lambda: bench.relay.bypassed == bypassed, seconds=3.0)


def endings(bench: Bench) -> list[Ending]:
    return [news.closed.ending for news in bench.relay.exchanges.drain() if news.closed is not None]


async def test_the_file_turns_it_on_and_off_within_a_second(start: Start, tmp_path: Path) -> None:
    bench = await start()
    await order(bench, tmp_path, ANNA)
    await order(bench, tmp_path, None)
    await bench.ask(ASK)
    assert endings(bench)


def test_a_file_made_by_hand_counts_and_one_that_cannot_be_read_too(tmp_path: Path) -> None:
    path = bypass_path(tmp_path)
    assert read_bypass(path) is None
    path.touch()
    found = read_bypass(path)
    assert found is not None
    assert found.author == "somebody"
    path.write_bytes(b"\xff{not json")
    assert read_bypass(path) is not None
    write_bypass(path, ANNA)
    assert read_bypass(path) == ANNA
    end_bypass(path)
    end_bypass(path)
    assert read_bypass(path) is None
    assert list(tmp_path.iterdir()) == []


async def test_open_streams_go_on_to_the_byte_and_are_closed_as_unobserved(start: Start, tmp_path: Path) -> None:
    engine = Steps()
    bench = await start(engine.script)
    reader, writer = await bench.client()
    writer.write(ASK)
    await engine.go.put(CHUNK)
    await reader.readexactly(len(HEAD + CHUNK))
    await order(bench, tmp_path, ANNA)
    assert endings(bench) == [Ending.UNOBSERVED]
    assert bench.relay.passing.unread == 1, "it is still under way"
    for data in (CHUNK[:7], CHUNK[7:], LAST, b""):
        await engine.go.put(data)
    assert await reader.readexactly(len(CHUNK + LAST)) == CHUNK + LAST

    writer.write(ASK)  # on the same connection, still bypassed
    await engine.go.put(LAST)
    assert await reader.readexactly(len(HEAD + LAST)) == HEAD + LAST
    assert not bench.relay.exchanges.has_news, "nothing is read"


async def test_an_end_that_cannot_be_told_never_holds_the_next_request_back(start: Start, tmp_path: Path) -> None:
    """What is bypassed may be exactly the part that wrongly thinks an answer has not ended."""
    engine = Steps()
    bench = await start(engine.script)
    await order(bench, tmp_path, ANNA)
    reader, writer = await bench.client()
    writer.write(ASK)
    await reader.readexactly(len(HEAD))
    await engine.go.put(b"")  # the answer never ends by its framing
    writer.write(ASK)
    assert await reader.readexactly(len(HEAD)) == HEAD


async def test_afterwards_a_connection_is_read_again_from_its_next_request_on(start: Start, tmp_path: Path) -> None:
    engine = Steps()
    bench = await start(engine.script)
    await order(bench, tmp_path, ANNA)
    reader, writer = await bench.client()
    writer.write(ASK)
    await engine.go.put(CHUNK)
    await reader.readexactly(len(HEAD + CHUNK))
    await order(bench, tmp_path, None)
    for data in (LAST, b"", CHUNK + LAST, b""):
        await engine.go.put(data)
    await reader.readexactly(len(LAST))
    assert endings(bench) == [], "the rest of the answer before is not read as one of its own"
    writer.write(ASK)
    await reader.readexactly(len(HEAD + CHUNK + LAST))
    await until(lambda: not bench.relay.exchanges.open)
    assert endings(bench) == [Ending.COMPLETE]
    assert bench.relay.passing.answering == 0


async def test_a_client_that_did_not_wait_for_the_end_is_not_read_and_loses_no_byte(
    start: Start, tmp_path: Path
) -> None:
    engine = Steps()
    bench = await start(engine.script)
    await order(bench, tmp_path, ANNA)
    reader, writer = await bench.client()
    writer.write(ASK)
    await engine.go.put(CHUNK)
    await reader.readexactly(len(HEAD + CHUNK))
    await order(bench, tmp_path, None)
    writer.write(ASK)  # while the answer before is under way
    await asyncio.sleep(0.05)
    for data in (CHUNK, LAST, b"", CHUNK, LAST, b""):
        await engine.go.put(data)
    expected = CHUNK + LAST + HEAD + CHUNK + LAST
    assert await reader.readexactly(len(expected)) == expected
    assert endings(bench) == [Ending.UNOBSERVED]


async def test_the_guard_stays_and_never_answers_into_another_answer(start: Start, tmp_path: Path) -> None:
    engine = Steps()
    bench = await start(engine.script)
    await order(bench, tmp_path, ANNA)
    assert b" 403 " in await bench.ask(b"POST /sleep HTTP/1.1\r\nhost: a\r\n\r\n")
    reader, writer = await bench.client()
    writer.write(ASK)
    await reader.readexactly(len(HEAD))
    writer.write(b"POST /collective_rpc HTTP/1.1\r\nhost: a\r\n\r\n")
    try:
        rest = await reader.read()
    except ConnectionResetError:
        rest = b""
    assert rest == b""
    assert b"collective_rpc" not in b"".join(bench.engine.received)


async def test_nothing_is_held_what_waits_goes_at_once_and_a_hold_of_today_parks_nobody(
    start: Start, tmp_path: Path
) -> None:
    engine = Steps()
    bench = await start(engine.script)
    hold = HoldOrder(op_id="op-1", seconds=60, wait_seconds=60, max_parked=9, max_bytes=10**6)
    bench.relay.hold.obey(hold)
    reader, writer = await bench.client()
    writer.write(ASK)
    await until(lambda: bench.relay.hold.parked == 1)
    await order(bench, tmp_path, ANNA)
    assert await reader.readexactly(len(HEAD)) == HEAD
    bench.relay.hold.obey(HoldOrder(op_id="op-2", seconds=60, wait_seconds=60, max_parked=9, max_bytes=10**6))
    other, asking = await bench.client()
    asking.write(ASK)
    assert await other.readexactly(len(HEAD)) == HEAD


async def test_a_quiet_stream_is_not_let_go_of(start: Start, tmp_path: Path) -> None:
    engine = Steps()
    bench = await start(engine.script)
    await order(bench, tmp_path, ANNA)
    reader, writer = await bench.client()
    writer.write(ASK)
    await reader.readexactly(len(HEAD))
    next(iter(bench.relay.connections)).rest(10**18)
    await engine.go.put(CHUNK)
    assert await reader.readexactly(len(CHUNK)) == CHUNK


async def test_the_engines_close_reaches_the_client(start: Start, tmp_path: Path) -> None:
    async def until_eof(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        writer.close()

    bench = await start(until_eof)
    await order(bench, tmp_path, ANNA)
    assert (await bench.ask(ASK)).endswith(b"all of it")
    await until(lambda: not bench.relay.connections)


async def test_an_engine_that_is_gone_is_said_as_ever(start: Start, tmp_path: Path) -> None:
    bench = await start(engine_up=False)
    await order(bench, tmp_path, ANNA)
    assert b" 502 " in await bench.ask(ASK)
    assert ANSWER not in b"".join(bench.engine.received)
