"""Who follows whom in one place, and when the next one may not read any more."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest_asyncio

from watchtower.children.outliving import OutlivingProcess
from watchtower.children.policy.restart import ExitKind
from watchtower.services.relaying.watched_worker import LOOK_SECONDS, WatchedWorker
from watchtower.services.relaying.worker_slot import WITHIN_SECONDS, WorkerSlot
from watchtower.testing.adapters import eventually
from watchtower.testing.clock import HandClock

BUSY = [sys.executable, "-S", "-c", "while True: pass"]


class Place:
    """One slot whose workers are plain processes."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.made: list[WatchedWorker] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self.slot = WorkerSlot(0, self.clock, self._start, None)

    def _start(self, reads: bool) -> WatchedWorker:
        self._processes.append(subprocess.Popen(BUSY))
        process = OutlivingProcess.adopt(self._processes[-1].pid)
        assert process is not None
        self.made.append(WatchedWorker(len(self.made), process, reads=reads))
        return self.made[-1]

    async def life(self, end: Callable[[WatchedWorker], None], *, heard: bool = True) -> tuple[bool, ExitKind]:
        """Of one worker: whether it was to read, and how the slot saw it end."""
        living = asyncio.ensure_future(self.slot.live())
        await asyncio.sleep(0)
        worker = self.made[-1]
        worker.heard = heard
        end(worker)
        async with asyncio.timeout(10):
            ended = await living
        return worker.reads, ended.kind

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


@pytest_asyncio.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    yield place
    place.close()


def kill(worker: WatchedWorker) -> None:
    os.kill(worker.process.pid, signal.SIGKILL)


async def lives(place: Place, *ends: Awaitable[tuple[bool, ExitKind]]) -> list[bool]:
    return [(await end)[0] for end in ends]


async def test_the_third_after_two_deaths_while_reading_only_forwards_and_so_do_all_after_it(place: Place) -> None:
    assert await lives(place, *(place.life(kill) for _ in range(4))) == [True, True, False, False]


async def test_deaths_long_apart_are_two_accidents(place: Place) -> None:
    await place.life(kill)
    place.clock.advance(WITHIN_SECONDS + 1)
    await place.life(kill)
    assert (await place.life(kill))[0]
    assert not (await place.life(kill))[0], "these two were close"


async def test_a_worker_that_never_spoke_could_not_start_and_did_not_die_of_reading(place: Place) -> None:
    assert await lives(place, *(place.life(kill, heard=False) for _ in range(4))) == [True] * 4


async def test_a_worker_that_lost_its_place_lives_on_and_the_next_follows_at_once(place: Place) -> None:
    assert (await place.life(lambda worker: place.slot.vacate()))[1] is ExitKind.AGAIN
    assert place.slot.worker is None
    assert not place.made[0].process.ended
    assert (await place.life(kill))[1] is ExitKind.FAILED


async def test_one_that_is_silent_and_at_work_is_lost_in_reading_and_one_that_was_stopped_is_not(place: Place) -> None:
    def lost(worker: WatchedWorker) -> None:
        def busy() -> bool:
            worker.look(LOOK_SECONDS, spoke=False)
            return worker.busy

        assert eventually(busy)
        place.slot.vacate()

    def stopped(worker: WatchedWorker) -> None:
        os.kill(worker.process.pid, signal.SIGSTOP)
        for _ in range(2):
            worker.look(LOOK_SECONDS, spoke=False)
        place.slot.vacate()

    with suppress(ProcessLookupError):
        reads = [await place.life(end) for end in (stopped, stopped, stopped, lost, lost, kill)]
    assert [may for may, _ in reads] == [True, True, True, True, True, False]
