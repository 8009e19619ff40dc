"""What passes between the daemon and relay workers, without any worker: who is believed, who hears of what."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.strangers import STRANGER, ask_as, needs_root
from tests.waiting import until
from watchtower.services.relaying.worker_channel import WorkerChannel
from watchtower.taps.framing import Deframer, frame
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.facts import (
    HoldOrder,
    HoldState,
    OrderNotUnderstood,
    RelayEnded,
    RelayFrame,
    RelayGone,
    RelayHello,
    ReleaseOrder,
    ServingOrder,
    WorkerOrder,
)
from watchtower.vocabulary.samples import ExchangeSampled, SampleOrder

HOLD = HoldOrder(op_id="op-1", seconds=20, wait_seconds=5, max_parked=5, max_bytes=10_000)
HELLO = RelayHello(at=1, worker=0, pid=77, version="1", listening="127.0.0.1:1", upstream="")
STRANGE = msgspec.structs.replace(HELLO, upstream="http://elsewhere")


def heard(**more: Any) -> RelayFrame:
    return RelayFrame(**{"at": 1.0, "worker": 0, "pid": 77, "sequence": 1, "open_exchanges": 0, **more})


class Worker:
    """The other end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._deframer = Deframer(msgspec.msgpack.Decoder(WorkerOrder))

    def say(self, *messages: Any) -> None:
        for message in messages:
            self._writer.write(frame(message))

    async def orders(self, count: int) -> list[WorkerOrder]:
        found: list[WorkerOrder] = []
        async with asyncio.timeout(10):
            while len(found) < count:
                found += self._deframer.feed(await self._reader.read(65536))
        return found

    async def rest(self) -> bytes:
        """All that is still said to it, until it is hung up on."""
        async with asyncio.timeout(10):
            return await self._reader.read()

    def leave(self) -> None:
        self._writer.close()


class House:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = HandClock()
        self.facts: list[RelayHello | RelayFrame | RelayGone] = []
        self.samples: list[ExchangeSampled] = []
        self.asked: list[int] = []
        self.channel = WorkerChannel(self.clock, self._take, self.samples.append, self._refusal)
        self.workers: list[Worker] = []

    def _take(self, fact: RelayHello | RelayFrame | RelayGone | RelayEnded) -> None:
        assert not isinstance(fact, RelayEnded)
        self.facts.append(fact)

    def _refusal(self, pid: int, hello: RelayHello) -> str:
        self.asked.append(pid)
        return "it forwards elsewhere" if hello.upstream else ""

    async def connected(self) -> Worker:
        """Somebody who has not said anything yet."""
        self.workers.append(Worker(*await asyncio.open_unix_connection(self.path)))
        return self.workers[-1]

    async def worker(self, hello: RelayHello = HELLO) -> Worker:
        known, worker = self.channel.connected, await self.connected()
        worker.say(hello)
        await until(lambda: self.channel.connected > known)
        return worker


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "facts.sock")
    await house.channel.open(house.path)
    yield house
    for worker in house.workers:
        worker.leave()
    await house.channel.close()


async def test_what_a_worker_says_is_a_fact_and_so_is_its_leaving(house: House) -> None:
    worker = await house.worker()
    worker.say(heard())
    await until(lambda: len(house.facts) == 2)
    assert (house.channel.heard(), house.channel.heard()) == ({os.getpid()}, set()), "since it was last asked"
    worker.leave()
    await until(lambda: len(house.facts) == 3)
    assert house.facts == [HELLO, heard(), RelayGone(at=house.clock.now().boot, worker=0, pid=77)]
    assert house.channel.connected == 0


async def test_one_that_never_said_who_it_was_leaves_without_a_word(house: House) -> None:
    stranger = await house.connected()
    stranger.leave()
    await house.worker()
    assert (house.channel.connected, house.facts) == (1, [HELLO])


@pytest.mark.parametrize("first", [STRANGE, heard()], ids=["refused", "nameless"])
async def test_a_stranger_is_told_nothing_is_not_believed_and_is_logged_once(
    house: House, first: RelayHello | RelayFrame
) -> None:
    house.channel.order(HOLD)
    with capture_logs() as logs:
        for _ in range(3):
            stranger = await house.connected()
            stranger.say(first, heard())
            assert await stranger.rest() == b"", "hung up on, and not even the hold is told"
    assert (house.facts, house.channel.connected, house.channel.refused) == ([], 0, 1)
    assert [entry["pid"] for entry in logs if entry["event"] == "relay.stranger"] == [os.getpid()]


async def test_the_kernel_says_who_is_at_the_other_end(house: House) -> None:
    await house.worker()
    assert house.asked == [os.getpid()]


@needs_root
async def test_a_process_of_another_user_is_not_believed(house: House) -> None:
    house.channel.order(HOLD)
    assert await asyncio.to_thread(ask_as, STRANGER, house.path, frame(HELLO)) == b"", "not even the hold is told"
    assert house.facts == []


async def test_a_worker_that_comes_later_hears_of_a_hold_with_the_time_that_is_left(house: House) -> None:
    house.channel.order(HOLD)
    house.clock.advance(8.0)
    worker = await house.worker()
    assert await worker.orders(1) == [msgspec.structs.replace(HOLD, seconds=12.0)]


async def test_it_does_not_hear_of_one_that_is_over_or_was_released(house: House) -> None:
    house.channel.order(HOLD)
    house.clock.advance(20.0)
    late = await house.worker()
    house.channel.order(msgspec.structs.replace(HOLD, op_id="op-2"))
    house.channel.order(ReleaseOrder(op_id="op-2"))
    later = await house.worker()
    await until(lambda: house.channel.connected == 2)
    house.channel.order(ReleaseOrder(op_id="op-9"))
    assert [order.op_id for order in await late.orders(3) if isinstance(order, HoldOrder | ReleaseOrder)] == [
        "op-2",
        "op-2",
        "op-9",
    ]
    assert await later.orders(1) == [ReleaseOrder(op_id="op-9")]


async def test_a_worker_that_still_holds_what_was_released_while_it_was_away_is_told_so(house: House) -> None:
    house.channel.order(HOLD)
    house.channel.order(ReleaseOrder(op_id="op-1"))
    worker = await house.worker()
    worker.say(heard(hold=HoldState.HOLDING, hold_op="op-1"))
    assert ReleaseOrder(op_id="op-1") in await worker.orders(1)


async def test_only_workers_that_know_how_are_told_to_sample(house: House) -> None:
    able = await house.worker(msgspec.structs.replace(HELLO, samples=True))
    unable = await house.worker(msgspec.structs.replace(HELLO, pid=78))
    assert await able.orders(1) == [SampleOrder(ratio=0)]
    await until(lambda: len(house.facts) == 2)
    house.channel.sample(SampleOrder(ratio=0.5))
    house.channel.order(HOLD)
    assert await able.orders(2) == [SampleOrder(ratio=0.5), HOLD]
    assert await unable.orders(1) == [HOLD]


async def test_an_order_that_a_worker_does_not_understand_is_counted(house: House) -> None:
    worker = await house.worker()
    refused = OrderNotUnderstood(at=1.0, worker=0, pid=77, order="sing")
    worker.say(refused, refused, heard())
    await until(lambda: len(house.facts) == 2)
    assert house.channel.skipped == {"sing": 2}


SERVES = ServingOrder(known=True, serving=False, reason="it hangs", until=1015.0)


async def test_the_word_on_the_engine_goes_to_workers_that_know_it_and_an_older_one_would_hang_up(house: House) -> None:
    old = await house.worker()
    new = await house.worker(
        msgspec.structs.replace(HELLO, pid=78, understands=("hold", "release", "sample", "serving"))
    )
    house.channel.serving(SERVES)
    house.channel.order(HOLD)
    assert await new.orders(3) == [SampleOrder(ratio=0), SERVES, HOLD]
    assert HOLD in await old.orders(1)
