"""Which source is started."""

from __future__ import annotations

from contextlib import AsyncExitStack

from watchtower.services.watching.gpu_polling import GpuPolling
from watchtower.settings import HardwareSettings, Settings
from watchtower.tasks import TaskGroup
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.facts import AnyFact, GpuReport
from watchtower.vocabulary.gpus import GpuSource, Trouble


async def started(settings: Settings) -> tuple[bool, list[AnyFact]]:
    """(whether there is something to let go of, the facts of the first moments)"""
    clock, facts = HandClock(), list[AnyFact]()
    tasks = TaskGroup(clock.sleep)
    async with AsyncExitStack() as stack:
        polling = GpuPolling(settings, clock, facts.append)
        polling.start(tasks, stack)
        for _ in range(50):
            await clock.sleep(0.1)
        await tasks.stop()
    return polling.hardware is not None, facts


async def test_nobody_looks_when_nobody_shall() -> None:
    assert await started(Settings(hardware=HardwareSettings(source="none"))) == (False, [])


async def test_the_demos_engine_is_asked_for_its_gpus() -> None:
    settings = Settings.model_validate({"hardware": {"source": "simulated"}, "engine": {"url": "http://127.0.0.1:1"}})
    to_release, facts = await started(settings)
    assert not to_release and facts
    for report in facts:
        assert isinstance(report, GpuReport)
        assert (report.source, report.trouble) == (GpuSource.SIMULATED, Trouble.STALE)


async def test_a_real_source_can_be_let_go_of() -> None:
    assert (await started(Settings(hardware=HardwareSettings(source="dcgm", dcgm_url="http://127.0.0.1:1"))))[0]
