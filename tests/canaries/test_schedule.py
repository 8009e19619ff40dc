"""Regular jobs keep coming, whatever one of them does."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.waiting import until
from watchtower.canaries.schedule import Schedule


async def test_a_job_runs_again_and_again_until_stopped() -> None:
    runs: list[str] = []
    schedule = Schedule()
    schedule.every(0.05, "quick", lambda: runs.append("quick"))
    assert runs == []
    schedule.start()
    await until(lambda: len(runs) >= 3, seconds=3.0)
    schedule.stop()
    await asyncio.sleep(0)
    seen = len(runs)
    await asyncio.sleep(0.15)
    assert len(runs) == seen


async def test_a_job_that_fails_is_run_again_and_disturbs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    runs: list[str] = []

    def fail() -> None:
        runs.append("bad")
        raise RuntimeError("no")

    schedule = Schedule()
    schedule.every(0.05, "bad", fail)
    schedule.every(0.05, "good", lambda: runs.append("good"))
    with caplog.at_level(logging.CRITICAL, logger="apscheduler"):
        schedule.start()
        await until(lambda: runs.count("bad") >= 2 and runs.count("good") >= 2, seconds=3.0)
        schedule.stop()
        await asyncio.sleep(0)


async def test_a_loop_that_stood_still_gets_the_job_once_not_as_often_as_it_missed_it() -> None:
    runs: list[float] = []
    loop = asyncio.get_running_loop()
    schedule = Schedule()
    schedule.every(0.05, "job", lambda: runs.append(loop.time()))
    schedule.start()
    await until(lambda: bool(runs), seconds=3.0)
    before = len(runs)
    stood_still_until = loop.time() + 0.5
    while loop.time() < stood_still_until:
        pass
    await asyncio.sleep(0.03)
    schedule.stop()
    await asyncio.sleep(0)
    assert 1 <= len(runs) - before <= 2


def test_stopping_what_never_started_is_harmless() -> None:
    Schedule().stop()
