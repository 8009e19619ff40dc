"""One stream of reports, from the source the settings name."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
from pydantic import ValidationError

from tests.adapters.scripted import Script, served
from tests.closing import closing_server
from tests.hardware.interpretation.test_dcgm import OLD, page
from tests.hardware.machine import Machine, sampled, uuid
from watchtower.clock import SystemClock
from watchtower.hardware import sources
from watchtower.hardware.gpu_child import GpuChild
from watchtower.hardware.gpu_plan import GpuPlan
from watchtower.hardware.sources import DcgmExporter, Hardware
from watchtower.ports import Clock
from watchtower.settings import HardwareSettings
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import GpuSource, Trouble


@asynccontextmanager
async def hardware(settings: HardwareSettings, machine: Machine | None = None) -> AsyncIterator[list[GpuReport]]:
    reports: list[GpuReport] = []
    child: Callable[..., GpuChild] = GpuChild
    if machine is not None:
        child = partial(GpuChild, environment=machine.environment())
    whole = Hardware(settings, SystemClock(), reports.append, child=child)
    task = asyncio.get_running_loop().create_task(whole.run())
    try:
        yield reports
    finally:
        await whole.close()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(reports: list[GpuReport], accept: Callable[[GpuReport], object], seconds: float = 15.0) -> GpuReport:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for report in reports:
            if accept(report):
                return report
        await asyncio.sleep(0.02)
    raise AssertionError(f"no such report among {len(reports)}: {reports[-1:]}")


async def test_nvml_by_default(machine: Machine) -> None:
    async with hardware(HardwareSettings(uuids=(uuid(2),), poll_seconds=0.2), machine) as reports:
        report = await until(reports, sampled)
        assert (report.source, [gpu.uuid for gpu in report.gpus]) == (GpuSource.NVML, [uuid(2)])


async def test_without_a_driver_the_exporter_speaks_and_nobody_else(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "LEAST_SCRAPE_SECONDS", 0.2)  # the first page may come before NVML gave up
    machine.scene("gpus 8", "fail * nvmlInitWithFlags 9")
    with served(Script(metrics=(200, page(OLD)))) as script:
        settings = HardwareSettings(dcgm_url=f"{script.url}/metrics", poll_seconds=0.2)
        async with hardware(settings, machine) as reports:
            report = await until(reports, lambda report: report.source is GpuSource.DCGM)
            assert report.gpus[0].power_watts == 421.5
            assert {report.source for report in reports} == {GpuSource.DCGM}


async def test_beside_a_driver_the_exporter_is_not_listened_to(machine: Machine) -> None:
    with served(Script(metrics=(200, page(OLD)))) as script:
        settings = HardwareSettings(dcgm_url=f"{script.url}/metrics", poll_seconds=0.2)
        async with hardware(settings, machine) as reports:
            await until(reports, sampled)
            assert {report.source for report in reports} == {GpuSource.NVML}


@pytest.mark.parametrize(
    ("answer", "because"),
    [((503, "later"), "answers with status 503"), ((200, "<html>{ no"), "no metrics page"), ((200, ""), "no GPU")],
)
async def test_an_exporter_that_cannot_tell_is_a_report_as_well(answer: tuple[int, str], because: str) -> None:
    with served(Script(metrics=answer)) as script:
        settings = HardwareSettings(source="dcgm", dcgm_url=f"{script.url}/metrics")
        async with hardware(settings) as reports:
            report = await until(reports, lambda report: True)
            assert report.trouble is not None
            assert because in report.because


async def test_an_exporter_that_is_not_there_is_a_fault_without_its_address() -> None:
    async with hardware(HardwareSettings(source="dcgm", dcgm_url="http://user:secret@127.0.0.1:1/metrics")) as reports:
        report = await until(reports, lambda report: True)
        assert report.trouble is Trouble.FAULT
        assert "secret" not in report.because


async def test_an_exporter_that_closes_just_when_it_is_asked_costs_no_reading() -> None:
    async with closing_server(page(OLD).encode()) as server:
        reports: list[GpuReport] = []
        exporter = DcgmExporter(f"{server.url}/metrics", (), 0.001, SystemClock(), reports.append)
        scraping = asyncio.get_running_loop().create_task(exporter.run())
        await until(reports, lambda report: len(reports) >= 3)
        exporter.close()
        await scraping
    assert [report.because for report in reports if report.trouble is not None] == []
    assert server.connections == len(reports)


async def test_none_means_none() -> None:
    async with hardware(HardwareSettings(source="none")) as reports:
        await asyncio.sleep(0.1)
        assert reports == []


def test_groups_name_gpus_as_well() -> None:
    settings = HardwareSettings(uuids=(uuid(5),), groups=((uuid(0), uuid(1)), (uuid(2), uuid(5))))
    assert settings.wanted() == (uuid(5), uuid(0), uuid(1), uuid(2))


def test_a_gpu_in_two_groups_and_a_source_without_address_are_mistakes() -> None:
    with pytest.raises(ValidationError, match="works in one group"):
        HardwareSettings(groups=((uuid(0),), (uuid(0),)))
    with pytest.raises(ValidationError, match=r"needs hardware\.dcgm_url"):
        HardwareSettings(source="dcgm")
    with pytest.raises(ValidationError):
        HardwareSettings(uuids=("0",))


def test_the_plan_carries_what_was_configured() -> None:
    plans: list[GpuPlan] = []

    def child(plan: GpuPlan, clock: Clock, on_fact: Callable[[GpuReport], None]) -> GpuChild:
        plans.append(plan)
        return GpuChild(plan, clock, on_fact)

    Hardware(HardwareSettings(uuids=(uuid(1),), poll_seconds=3), SystemClock(), lambda report: None, child=child)
    assert (plans[0].uuids, plans[0].poll_seconds) == ((uuid(1),), 3)
