"""The daemon's rhythm on a clock moved by hand, and what /-/healthy and /-/ready make of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from watchtower.board import Board
from watchtower.daemon.supervision import Heartbeat, observe, scrape, tick
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.facts import AnyFact, EngineScrape, EngineSeen, RelayFrame


class Pipeline:
    """Takes ``takes`` seconds for each tick."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.takes = 0.0
        self.ticks: list[tuple[float, str]] = []
        self.facts: list[AnyFact] = []

    def tick(self, not_ready: str = "") -> None:
        self.ticks.append((self.clock.now().boot - 1000.0, not_ready))
        self.clock.advance(self.takes)

    def on_fact(self, fact: AnyFact) -> None:
        self.facts.append(fact)


class Eyes:
    def __init__(self, clock: HandClock) -> None:
        self.clock = clock

    async def observe(self) -> EngineSeen:
        return EngineSeen(at=self.clock.now().boot, known=False, because="nobody answers")

    async def scrape(self) -> EngineScrape:
        return EngineScrape(at=self.clock.now().boot, ok=False, because="refused")


class House:
    def __init__(self, tick_seconds: float = 1.0) -> None:
        self.clock = HandClock()
        self.board = Board(target="e", version="1", mode="observe", profile="safe", started=self.clock.now())
        self.heartbeat = Heartbeat(self.board, self.clock, tick_seconds)
        self.pipeline: Any = Pipeline(self.clock)

    async def turns(self, count: int, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.create_task(work())
        for _ in range(count):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_tick_a_period_after_refreshing_what_it_shows() -> None:
    house = House()
    refreshed: list[int] = []
    await house.turns(
        5,
        lambda: tick(
            house.pipeline, lambda: refreshed.append(len(house.pipeline.ticks)), house.heartbeat, house.clock, 1.0
        ),
    )
    assert [at for at, _ in house.pipeline.ticks] == [0, 1, 2, 3, 4]
    assert refreshed == [0, 1, 2, 3, 4]


async def test_the_time_that_a_tick_takes_is_part_of_the_period() -> None:
    house = House()
    house.pipeline.takes = 0.4
    await house.turns(4, lambda: tick(house.pipeline, lambda: None, house.heartbeat, house.clock, 1.0))
    assert [at for at, _ in house.pipeline.ticks] == [0, 1, 2, 3]


async def test_a_late_tick_is_not_made_up_for() -> None:
    house = House()
    house.pipeline.takes = 3.0
    await house.turns(4, lambda: tick(house.pipeline, lambda: None, house.heartbeat, house.clock, 1.0))
    assert [at for at, _ in house.pipeline.ticks] == [0, 3, 6, 9]


async def test_each_tick_is_told_why_the_daemon_is_not_ready() -> None:
    house = House()
    await house.turns(2, lambda: tick(house.pipeline, lambda: None, house.heartbeat, house.clock, 1.0))
    house.board.relay_frames[1] = RelayFrame(at=0, worker=0, pid=1, sequence=0, open_exchanges=0)
    await house.turns(1, lambda: tick(house.pipeline, lambda: None, house.heartbeat, house.clock, 1.0))
    house.board.engine = EngineSeen(at=0, known=False)
    await house.turns(1, lambda: tick(house.pipeline, lambda: None, house.heartbeat, house.clock, 1.0))
    reasons = [reason for _, reason in house.pipeline.ticks]
    assert reasons[1:] == ["no relay worker has reported yet", "the adapter has not looked yet", ""]


@pytest.mark.parametrize(("work", "kind"), [(observe, EngineSeen), (scrape, EngineScrape)])
async def test_what_was_seen_becomes_a_fact_at_every_period(work: Any, kind: type) -> None:
    house = House()
    await house.turns(3, lambda: work(Eyes(house.clock), house.pipeline, house.clock, 2.0))
    assert [type(fact) for fact in house.pipeline.facts] == [kind] * 3
    assert [fact.at - 1000.0 for fact in house.pipeline.facts] == [0, 2, 4]


@pytest.mark.parametrize(("period", "allowed"), [(1.0, 10.0), (0.1, 10.0), (10.0, 50.0)])
def test_the_loop_is_dead_after_five_periods_and_at_least_ten_seconds(period: float, allowed: float) -> None:
    house = House(period)
    house.clock.advance(allowed - 0.1)
    assert house.heartbeat.because() == ""
    house.clock.advance(0.1)
    assert house.heartbeat.because() == f"no evaluation for {allowed:.0f} s"


def test_a_tick_revives_the_heartbeat() -> None:
    house = House()
    house.clock.advance(60)
    assert house.heartbeat.because()
    house.board.last_tick = house.clock.now()
    assert house.heartbeat.because() == ""


def test_a_sick_engine_does_not_make_watchtower_unready() -> None:
    house = House()
    house.board.relay_frames[1] = RelayFrame(at=0, worker=0, pid=1, sequence=0, open_exchanges=0)
    house.board.engine = EngineSeen(at=0, known=False, because="the adapter child was killed")
    assert house.heartbeat.readiness() == ""
