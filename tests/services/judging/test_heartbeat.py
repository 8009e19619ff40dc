"""The rhythm of evaluation on a clock moved by hand, and what /-/healthy makes of it."""

from __future__ import annotations

import asyncio

import pytest

from watchtower.services.judging.heartbeat import Heartbeat
from watchtower.testing.clock import HandClock


class House:
    """Evaluations that take ``takes`` seconds each."""

    def __init__(self, period: float = 1.0) -> None:
        self.clock = HandClock()
        self.heartbeat = Heartbeat(self.clock, period)
        self.takes = 0.0
        self.evaluated: list[float] = []

    def evaluate(self) -> None:
        self.evaluated.append(self.clock.now().boot - 1000.0)
        self.clock.advance(self.takes)

    async def turns(self, count: int) -> None:
        task = asyncio.create_task(self.heartbeat.run(self.evaluate))
        for _ in range(count):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_one_evaluation_a_period() -> None:
    house = House()
    await house.turns(5)
    assert house.evaluated == [0, 1, 2, 3, 4]


async def test_the_time_that_an_evaluation_takes_is_part_of_the_period() -> None:
    house = House()
    house.takes = 0.4
    await house.turns(4)
    assert house.evaluated == [0, 1, 2, 3]


async def test_a_late_tick_is_not_made_up_for() -> None:
    house = House()
    house.takes = 3.0
    await house.turns(4)
    assert house.evaluated == [0, 3, 6, 9]


@pytest.mark.parametrize(("period", "allowed"), [(1.0, 10.0), (0.1, 10.0), (10.0, 50.0)])
def test_the_loop_is_dead_after_five_periods_and_at_least_ten_seconds(period: float, allowed: float) -> None:
    house = House(period)
    house.clock.advance(allowed - 0.1)
    assert house.heartbeat.because() == ""
    house.clock.advance(0.1)
    assert house.heartbeat.because() == f"no evaluation for {allowed:.0f} s"


async def test_an_evaluation_revives_the_heartbeat() -> None:
    house = House()
    house.clock.advance(60)
    assert house.heartbeat.because()
    await house.turns(1)
    assert house.heartbeat.because() == ""


async def test_an_evaluation_that_fails_is_no_beat() -> None:
    house = House()
    house.clock.advance(60)

    def fail() -> None:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError):
        await house.heartbeat.run(fail)
    assert house.heartbeat.because() == "no evaluation for 60 s"
