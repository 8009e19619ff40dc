"""Hold, drain, release: how long the runner waits, for whom, and what it learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from watchtower.services.relaying.relay_traffic import ACKNOWLEDGE_SECONDS, RelayTraffic
from watchtower.settings import HoldSettings
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.facts import Bypassed, HoldOrder, HoldState, RelayFrame, RelayOrder, ReleaseOrder

DRAIN_SECONDS = 10.0


class Clock(HandClock):
    """Lets the scenery change whenever time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.passing: Callable[[float], None] = lambda since: None

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self.passing(self.now().boot - 1000.0)


class House:
    def __init__(self) -> None:
        self.clock = Clock()
        self.orders: list[RelayOrder] = []
        self.frames: dict[int, RelayFrame] = {}
        self.traffic = RelayTraffic(
            frames=self.frames.values,
            clock=self.clock,
            settings=HoldSettings(drain_seconds=DRAIN_SECONDS, total_seconds=50, wait_seconds=7, max_requests=9),
            order=self.orders.append,
        )

    def worker(self, number: int = 0, *, holds: str = "", open: int = 0, parked: int = 0, **more: Any) -> None:
        self.frames[number] = RelayFrame(
            at=0,
            worker=number,
            pid=number,
            sequence=0,
            open_exchanges=open,
            parked=parked,
            hold=HoldState.HOLDING if holds else HoldState.OPEN,
            hold_op=holds,
            **more,
        )

    @property
    def waited(self) -> float:
        return self.clock.now().boot - 1000.0


@pytest.fixture
def house() -> House:
    return House()


async def test_the_order_carries_the_knobs_and_its_own_deadline(house: House) -> None:
    await house.traffic.hold("op-1", drain=False)
    (order,) = house.orders
    assert isinstance(order, HoldOrder)
    assert (order.op_id, order.seconds, order.wait_seconds, order.max_parked) == ("op-1", 50, 7, 9)


async def test_without_a_relay_nothing_is_open_and_nobody_is_waited_for(house: House) -> None:
    assert await house.traffic.hold("op-1", drain=True) == 0
    assert house.waited == 0


async def test_a_hold_counts_only_when_every_worker_says_so_by_name(house: House) -> None:
    house.worker(0, holds="op-1")
    house.worker(1, holds="op-0")

    def passing(since: float) -> None:
        if since > 1.0:
            house.worker(1, holds="op-1")

    house.clock.passing = passing
    assert await house.traffic.hold("op-1", drain=False) == 0
    assert house.waited == pytest.approx(1.05, abs=0.06)


async def test_a_worker_that_never_acknowledges_is_not_waited_for_for_ever(house: House) -> None:
    house.worker(0, open=3)
    assert await house.traffic.hold("op-1", drain=False) == 3
    assert house.waited == pytest.approx(ACKNOWLEDGE_SECONDS, abs=0.1)


async def test_without_drain_open_exchanges_are_told_not_waited_for(house: House) -> None:
    house.worker(0, holds="op-1", open=5)
    house.worker(1, holds="op-1", open=2)
    assert await house.traffic.hold("op-1", drain=False) == 7
    assert house.waited == 0


async def test_drain_waits_until_the_last_exchange_has_ended(house: House) -> None:
    house.worker(0, holds="op-1", open=2)
    house.clock.passing = lambda since: house.worker(0, holds="op-1", open=2 if since < 4 else 0)
    assert await house.traffic.hold("op-1", drain=True) == 0
    assert house.waited == pytest.approx(4.0, abs=0.1)


async def test_drain_ends_at_its_deadline_and_says_what_is_left(house: House) -> None:
    house.worker(0, holds="op-1", open=4)
    assert await house.traffic.hold("op-1", drain=True) == 4
    assert house.waited == pytest.approx(DRAIN_SECONDS, abs=0.1)


async def test_a_worker_that_dies_while_draining_leaves_nothing_open(house: House) -> None:
    house.worker(0, holds="op-1", open=4)

    def passing(since: float) -> None:
        if since > 2:
            house.frames.clear()

    house.clock.passing = passing
    assert await house.traffic.hold("op-1", drain=True) == 0
    assert house.waited == pytest.approx(2.0, abs=0.1)


async def test_idle_but_not_yet_holding_is_not_drained(house: House) -> None:
    """Between the order and its acknowledgement a new request may still go upstream."""
    house.worker(0, open=0)
    house.clock.passing = lambda since: house.worker(0, holds="op-1" if since > 0.5 else "", open=1 if since < 2 else 0)
    assert await house.traffic.hold("op-1", drain=True) == 0
    assert house.waited == pytest.approx(2.0, abs=0.1)


async def test_release_names_the_hold_it_ends(house: House) -> None:
    await house.traffic.release("op-1")
    assert house.orders == [ReleaseOrder(op_id="op-1")]


async def test_a_drain_waits_for_answers_that_nobody_reads(house: House) -> None:
    house.worker(holds="op-1", answering=1)

    def later(since: float) -> None:
        if since > 4:
            house.worker(holds="op-1", answering=0)

    house.clock.passing = later
    assert await house.traffic.hold("op-1", drain=True) == 0
    assert 4 < house.waited < 5


async def test_an_older_worker_says_nothing_of_them_and_is_believed_in_what_it_says(house: House) -> None:
    house.worker(holds="op-1", open=2)
    assert await house.traffic.hold("op-1", drain=True) == 2
    assert house.waited >= DRAIN_SECONDS


async def test_a_bypassed_worker_holds_nobody_and_is_not_waited_for(house: House) -> None:
    house.worker(holds="", bypassed=Bypassed("anna", "why", 1.0))
    await house.traffic.hold("op-1", drain=False)
    assert house.waited == 0
