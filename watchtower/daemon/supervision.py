"""The daemon's own rhythm: ticks, looks, scrapes, and the heartbeat that ``/-/healthy`` tells of.

A tick that is late is not made up for; the next one comes at its own time. Ready means: we see the traffic's path and
know who runs. It does not mean that nothing is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog

from watchtower.board import Board
from watchtower.ports import Clock, Owner
from watchtower.services.judging.pipeline import Pipeline
from watchtower.vocabulary.errors import NotReachable
from watchtower.vocabulary.facts import EngineScrape, EngineSeen

MISSED_TICKS = 5
LEAST_SECONDS = 10.0
"""The loop counts as dead when no tick has happened for five periods, and at least this long."""
OWNER_SECONDS = 5.0
"""How often the engine's owner is looked for: without one the engine runs on, but nothing can be cured."""

log = structlog.get_logger("watchtower.supervision")


class Eyes(Protocol):
    """What looking needs of the adapter child."""

    async def observe(self) -> EngineSeen: ...

    async def scrape(self) -> EngineScrape: ...


class Heartbeat:
    """Tied to the loop that decides, not to the web server that answers."""

    def __init__(self, board: Board, clock: Clock, tick_seconds: float) -> None:
        self._board = board
        self._clock = clock
        self._allowed = max(LEAST_SECONDS, MISSED_TICKS * tick_seconds)

    def because(self) -> str:
        """ "" while the loop lives, otherwise why it counts as dead."""
        since = self._clock.now().boot - (self._board.last_tick or self._board.started).boot
        return "" if since < self._allowed else f"no evaluation for {since:.0f} s"

    def readiness(self) -> str:
        if not self._board.relay_frames:
            return "no relay worker has reported yet"
        if self._board.engine is None:
            return "the adapter has not looked yet"
        return ""


async def tick(
    pipeline: Pipeline, refresh: Callable[[], None], heartbeat: Heartbeat, clock: Clock, period: float
) -> None:
    """Evaluate once a period, for ever."""
    due = clock.now().boot
    while True:
        refresh()
        pipeline.tick(heartbeat.readiness())
        due = max(due + period, clock.now().boot)
        await clock.sleep(due - clock.now().boot)


async def observe(eyes: Eyes, pipeline: Pipeline, clock: Clock, period: float) -> None:
    while True:
        pipeline.on_fact(await eyes.observe())
        await clock.sleep(period)


async def scrape(eyes: Eyes, pipeline: Pipeline, clock: Clock, period: float) -> None:
    while True:
        pipeline.on_fact(await eyes.scrape())
        await clock.sleep(period)


async def keep_owner(owner: Owner, clock: Clock) -> None:
    """Ask again and again that whoever owns the engine is there."""
    while True:
        await clock.sleep(OWNER_SECONDS)
        try:
            await owner.ensure(clock.now())
        except NotReachable as problem:
            log.error("owner.missing", because=str(problem), again_in_seconds=OWNER_SECONDS)
