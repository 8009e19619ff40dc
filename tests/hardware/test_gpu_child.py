"""The daemon's side: reports keep coming, whatever becomes of the child."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec

from tests.hardware.machine import QUICK, Machine, sampled
from watchtower.adapters.keeper.process_tree import look
from watchtower.children.child_process import kill_group
from watchtower.clock import SystemClock
from watchtower.hardware.gpu_child import BACKOFF, GpuChild
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import Trouble

QUICK_BACKOFF = msgspec.structs.replace(BACKOFF, first_seconds=0.3)


class Heard:
    """Reports as the daemon gets them."""

    def __init__(self) -> None:
        self.reports: list[GpuReport] = []

    def __call__(self, report: GpuReport) -> None:
        self.reports.append(report)

    async def until(self, accept: Callable[[GpuReport], object], seconds: float = 15.0) -> GpuReport:
        """The next acceptable report from now on."""
        seen, until = len(self.reports), time.monotonic() + seconds
        while time.monotonic() < until:
            for report in self.reports[seen:]:
                if accept(report):
                    return report
            seen = len(self.reports)
            await asyncio.sleep(0.02)
        raise AssertionError(f"no such report; the last: {self.reports[-1:]}")

    async def trouble(self, trouble: Trouble) -> GpuReport:
        return await self.until(lambda report: report.trouble is trouble)


@asynccontextmanager
async def running(environment: dict[str, str] | None = None, **options: Any) -> AsyncIterator[tuple[GpuChild, Heard]]:
    heard = Heard()
    child = GpuChild(QUICK, SystemClock(), heard, environment=environment, backoff=QUICK_BACKOFF, **options)
    task = asyncio.get_running_loop().create_task(child.run())
    try:
        yield child, heard
    finally:
        await child.close()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def scripted(text: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", text)


REPORT = msgspec.json.encode(GpuReport(at=1.0, source="nvml", gpus=[])).decode()  # type: ignore[arg-type]  # wire form
SILENT = f"import time; print('''{REPORT}''', flush=True); time.sleep(60)"
STUCK: dict[str, Any] = {"silent_seconds": 0.3, "stop_seconds": 0.2, "kill_seconds": 0.2}


async def test_released_gpus_are_held_by_nobody_and_acquired_by_a_new_process(machine: Machine) -> None:
    async with running(machine.environment()) as (child, heard):
        await heard.until(sampled)
        assert await child.release()
        assert len(machine.closed.read_text().split()) == 1, "NVML was shut down properly"
        assert (await heard.trouble(Trouble.RELEASED)).gpus == []
        machine.scene("gpus 4")  # a new driver, another partition
        child.acquire()
        assert len((await heard.until(sampled)).gpus) == 4
        assert (child.kills, child.abandoned) == (0, 0)


async def test_a_release_also_reaches_a_child_that_is_only_starting(machine: Machine) -> None:
    async with running(machine.environment()) as (child, heard):
        await asyncio.sleep(0)  # the process is being made
        assert await child.release()
        assert child.pid == 0 or look(child.pid) is None
        await heard.trouble(Trouble.RELEASED)
        child.acquire()
        await heard.until(sampled)


async def test_a_release_ends_by_itself(machine: Machine) -> None:
    async with running(machine.environment()) as (child, heard):
        await heard.until(sampled)
        assert await child.release(0.5)
        await heard.until(sampled)


async def test_a_driver_that_went_away_is_read_again_by_a_new_process(machine: Machine) -> None:
    async with running(machine.environment()) as (child, heard):
        await heard.until(sampled)
        machine.scene("gpus 8", "fail * * 9")
        await heard.trouble(Trouble.DRIVER_ABSENT)
        machine.scene("gpus 8")
        await heard.until(sampled)
        assert child.kills == 0


async def test_a_silent_child_is_killed_and_replaced() -> None:
    async with running(program=scripted(SILENT), silent_seconds=0.3) as (child, heard):
        gone = await heard.trouble(Trouble.FAULT)
        assert "no sign of life for 0.3 s" in gone.because
        await heard.until(lambda report: report.trouble is None)
        assert child.kills == 1


async def test_a_driver_that_does_not_return_for_long_costs_the_child_its_life(machine: Machine) -> None:
    async with running(machine.environment(), wedged_seconds=0.5) as (child, heard):
        await heard.until(sampled)
        machine.scene("gpus 8", "hang 5 nvmlDeviceGetPowerUsage")
        await heard.trouble(Trouble.DRIVER_WEDGED)
        machine.scene("gpus 8", "hang 5 nvmlDeviceGetPowerUsage", "set 0 clock 1000")
        gone = await heard.trouble(Trouble.FAULT)
        assert "did not return for 0.5 s" in gone.because
        machine.scene("gpus 8")
        await heard.until(sampled)
        assert child.kills == 1


async def test_a_child_that_cannot_be_killed_is_abandoned_and_not_replaced_until_it_is_gone() -> None:
    stuck: list[int] = []  # what SIGKILL does to a process in state D: nothing, for now
    async with running(program=scripted(SILENT), **STUCK, kill=stuck.append) as (child, heard):
        wedged = await heard.trouble(Trouble.DRIVER_WEDGED)
        assert "SIGKILL waits" in wedged.because
        await asyncio.sleep(0.5)
        assert set(stuck) == {int(wedged.because.split()[3])}, "there was no second child"
        assert (child.kills, child.abandoned) == (1, 1)
        assert not await child.release(0.0), "it still holds the GPUs"
        kill_group(stuck[0])
        await heard.until(lambda report: report.trouble is None)
        assert child.abandoned == 1


async def test_closing_does_not_wait_for_a_child_that_cannot_be_killed() -> None:
    stuck: list[int] = []
    async with running(program=scripted(SILENT), **STUCK, kill=stuck.append) as (_, heard):
        await heard.trouble(Trouble.DRIVER_WEDGED)
    kill_group(stuck[0])


async def test_garbage_costs_the_child_its_life() -> None:
    async with running(program=scripted("import time; print('{nonsense', flush=True); time.sleep(60)")) as (
        child,
        heard,
    ):
        assert "garbage" in (await heard.trouble(Trouble.FAULT)).because
        assert child.kills == 1


async def test_a_child_that_crashes_at_once_is_tried_again_with_growing_pauses() -> None:
    async with running(program=scripted("import sys; sys.exit(11)")) as (child, heard):
        await heard.until(lambda report: "status 11; the next one starts in 0.3 s" in report.because)
        await heard.until(lambda report: "the next one starts in 0.6 s" in report.because)
        assert child.kills == 0


async def test_a_child_shot_from_outside_is_replaced(machine: Machine) -> None:
    async with running(machine.environment()) as (child, heard):
        await heard.until(sampled)
        os.kill(child.pid, signal.SIGKILL)
        assert "status -9" in (await heard.trouble(Trouble.FAULT)).because
        await heard.until(sampled)


async def test_a_program_that_cannot_be_started_is_a_fault_and_nothing_worse() -> None:
    async with running(program=("/nowhere/python",)) as (_, heard):
        assert "cannot be started" in (await heard.trouble(Trouble.FAULT)).because
