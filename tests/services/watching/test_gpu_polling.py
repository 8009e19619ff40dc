"""Which source is started, and what of it reaches the board."""

from __future__ import annotations

from contextlib import AsyncExitStack

from tests.windows.hardware_scenes import at_work, reports, watched
from watchtower.services.judging.gpu_document import gpu_document
from watchtower.services.watching.gpu_polling import start_hardware
from watchtower.settings import HardwareSettings, PlacementSettings, Settings, StageSettings
from watchtower.tasks import TaskGroup
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.facts import AnyFact, GpuReport
from watchtower.vocabulary.gpus import GpuSource, Trouble


async def started(settings: Settings) -> tuple[bool, list[AnyFact]]:
    """(whether there is something to let go of, the facts of the first moments)"""
    clock, facts = HandClock(), list[AnyFact]()
    tasks = TaskGroup(clock.sleep)
    async with AsyncExitStack() as stack:
        hardware = start_hardware(settings, clock, facts.append, tasks, stack)
        for _ in range(50):
            await clock.sleep(0.1)
        await tasks.stop()
    return hardware is not None, facts


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


def test_the_board_shows_gpus_beside_what_was_expected() -> None:
    windows, now = watched(reports([0.9, 0.5]), at_work())
    shown = gpu_document(windows.gpus, PlacementSettings(stages=(StageSettings(ranks=4),)), 30, now)
    assert [gpu["utilization"] for gpu in shown["gpus"]] == [0.9, 0.5]
    assert shown["placement"] == [
        {"stage": "all", "gpu": "", "question": "ranks", "expected": "4", "real": "2", "ok": False}
    ]
