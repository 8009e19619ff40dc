"""The poller: what the simulator says of its GPUs becomes facts, and what it cannot say becomes a reason."""

from __future__ import annotations

import asyncio

import httpx
import msgspec
import pytest

from tests.closing import closing_server
from watchtower.hardware.simulated import look, poll
from watchtower.lab.simulator.app import Identity, make_app
from watchtower.lab.simulator.loop import EngineLoop, Model
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import GpuSource, Trouble


async def test_the_simulators_gpus_arrive_as_a_report() -> None:
    clock = HandClock()
    app = make_app(EngineLoop(Model(ranks=3), clock), clock, Identity(1, "1", "b"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        report = await look("http://engine", clock, client)
    assert report.trouble is None and report.source is GpuSource.SIMULATED
    assert [gpu.index for gpu in report.gpus] == [0, 1, 2]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (httpx.Response(404), "status 404: is the engine the simulator?"),
        (httpx.Response(200, content=b"{}"), "the answer is no GPU report"),
        (httpx.ConnectError("refused"), "ConnectError"),
    ],
)
async def test_an_engine_that_cannot_tell_is_a_reason(answer: httpx.Response | Exception, says: str) -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as client:
        report = await look("http://engine", HandClock(), client)
    assert (report.trouble, report.because, report.gpus) == (Trouble.STALE, says, [])


async def test_an_engine_that_closes_just_when_it_is_asked_costs_no_reading() -> None:
    answer = msgspec.json.encode(GpuReport(at=1.0, source=GpuSource.SIMULATED))
    reports = asyncio.Queue[GpuReport]()
    async with closing_server(answer) as engine:
        polling = asyncio.get_running_loop().create_task(poll(engine.url, HandClock(), reports.put_nowait))
        received = [await reports.get() for _ in range(3)]
        polling.cancel()
    assert [report.because for report in received if report.trouble is not None] == []
