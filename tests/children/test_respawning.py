"""A life, a pause, the next life: without any process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from watchtower.children.policy.backoff import Backoff
from watchtower.children.policy.restart import Exit, ExitKind
from watchtower.children.respawning import respawn
from watchtower.testing.clock import HandClock

BACKOFF = Backoff(first_seconds=1.0, longest_seconds=4.0, steady_seconds=60.0)
FAILED, AGAIN, FINAL = ExitKind.FAILED, ExitKind.AGAIN, ExitKind.FINAL


class Scripted:
    """Lives as it is told: how long, and how each life ends."""

    event = "scripted child gone"
    labels: Mapping[str, Any] = {"number": 7}

    def __init__(self, *lives: tuple[float, ExitKind]) -> None:
        self.clock = HandClock()
        self.lives = list(lives)
        self.pauses: list[float] = []

    async def live(self) -> Exit:
        seconds, kind = self.lives.pop(0)
        await self.clock.sleep(seconds)
        return Exit(kind, f"lived for {seconds:g} s")

    async def pause(self, ended: Exit, seconds: float) -> None:
        assert ended.because
        self.pauses.append(seconds)

    async def run(self) -> None:
        async with asyncio.timeout(5):
            await respawn(self, BACKOFF, self.clock)


async def test_pauses_grow_until_a_child_lives_long_enough() -> None:
    child = Scripted((1, FAILED), (1, FAILED), (1, FAILED), (1, FAILED), (60, FAILED), (1, FINAL))
    await child.run()
    assert child.pauses == [1.0, 2.0, 4.0, 4.0, 1.0]
    assert child.lives == []


async def test_a_child_that_wants_a_new_process_gets_it_without_a_pause() -> None:
    child = Scripted((1, FAILED), (1, AGAIN), (1, AGAIN), (1, FAILED), (1, FINAL))
    await child.run()
    assert child.pauses == [1.0, 2.0]


async def test_only_failures_are_logged_and_the_log_names_the_child() -> None:
    child = Scripted((1, AGAIN), (3, FAILED), (1, FINAL))
    with capture_logs() as logs:
        await child.run()
    assert [(entry["event"], entry["number"], entry["because"], entry["again_in_seconds"]) for entry in logs] == [
        ("scripted child gone", 7, "lived for 3 s", 1.0)
    ]


async def test_it_ends_when_it_is_cancelled() -> None:
    class Eternal(Scripted):
        async def live(self) -> Exit:
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

    task = asyncio.get_running_loop().create_task(Eternal().run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
