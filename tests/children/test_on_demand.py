"""One child at a time, started when it is needed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import pytest

from tests.waiting import until
from watchtower.children.child_process import ChildProcess, kill_group
from watchtower.children.counts import Counts
from watchtower.children.on_demand import ENDING, OnDemand
from watchtower.children.policy.patience import Patience
from watchtower.vocabulary.errors import NotReachable

SLEEP = "import time; time.sleep(60)"


class House:
    """Starts real children; they are ready at once, unless that is switched off."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.ready = True
        self.slow = asyncio.Event()
        self.slow.set()
        self.demand = OnDemand(self.begin)

    def kill(self, pid: int) -> None:
        """As the kernel does it under load: a little later."""
        asyncio.get_running_loop().call_later(0.2, kill_group, pid)

    async def begin(self) -> ChildProcess:
        program = (sys.executable, "-S", "-c", SLEEP)
        child = await ChildProcess.spawn(program, Patience(), self.counts, kill=self.kill)
        if self.ready:
            child.mark_ready()
        await self.slow.wait()
        return child


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    await house.demand.close()


async def test_nothing_is_started_before_it_is_needed_and_then_only_one(house: House) -> None:
    assert house.counts.started == 0
    first, second = await asyncio.gather(house.demand.ready(), house.demand.ready())
    assert first is second is await house.demand.ready()
    assert house.counts.started == 1


async def test_a_child_that_was_given_up_is_replaced_at_the_next_need(house: House) -> None:
    first = await house.demand.ready()
    first.give_up("garbage")
    assert house.counts.started == 1
    second = await house.demand.ready()
    assert second is not first
    assert first.status is not None, "the old one was gone first"
    assert house.counts.started == 2


async def test_whoever_waits_learns_why_a_child_did_not_become_ready(house: House) -> None:
    house.ready = False
    waiting = asyncio.get_running_loop().create_task(house.demand.ready())
    await until(lambda: house.demand.child is not None)
    assert house.demand.child is not None
    house.demand.child.give_up("it did not become ready")
    with pytest.raises(NotReachable, match="did not become ready"):
        await waiting


async def test_after_closing_there_is_none_any_more(house: House) -> None:
    child = await house.demand.ready()
    await house.demand.close()
    assert child.status is not None
    with pytest.raises(NotReachable, match=ENDING):
        await house.demand.ready()
    assert house.counts == Counts(started=1), "ending is nobody's failure"


async def test_a_child_that_is_only_starting_does_not_outlive_closing(house: House) -> None:
    house.slow.clear()
    waiting = asyncio.get_running_loop().create_task(house.demand.ready())
    await until(lambda: house.counts.started == 1)
    await house.demand.close()
    house.slow.set()
    with pytest.raises(NotReachable, match=ENDING):
        await waiting
    assert house.demand.child is not None
    assert house.demand.child.status is not None
