"""The simulated engine under the real keeper and the real vLLM adapter: the same contract, over HTTP."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from watchtower.adapters.engine.vllm import VllmEngine, VllmEngineSettings
from watchtower.adapters.keeper.launching import ensure_keeper
from watchtower.adapters.keeper.process_tree import look
from watchtower.adapters.supervisor.process import ProcessSupervisor, ProcessSupervisorSettings, keeper_plan
from watchtower.clock import boottime
from watchtower.testing.adapters import SupervisorContract, eventually
from watchtower.vocabulary.errors import NotReachable
from watchtower.vocabulary.facts import CanaryOutcome


class Simulated:
    """The simulator on a free port; a start counts when it is written in the engine's log."""

    def __init__(self, directory: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.state = directory / "state"
        self.settings = ProcessSupervisorSettings(
            command=(
                sys.executable,
                "-m",
                "watchtower.programs.simulator",
                "--port",
                str(port),
                "--start-seconds",
                "0",
            ),
        )
        self.url = f"http://127.0.0.1:{port}"
        self.supervisor = ProcessSupervisor(self.settings, self.state)
        self.engine = VllmEngine(VllmEngineSettings(url=self.url))

    def starts(self) -> int:
        return (self.state / "engine.log").read_text().count("watchtower starts the engine")

    def members(self) -> set[int]:
        incarnation = self.supervisor.observe(boottime()).incarnation
        return {int(incarnation.id)} if incarnation else set()

    def running(self, pid: int) -> bool:
        process = look(pid)
        return process is not None and process.state not in "ZX"

    def canary(self, seconds: float = 5.0) -> CanaryOutcome:
        return self.engine.canary("contract", boottime(), seconds).outcome


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Simulated]:
    simulated = Simulated(tmp_path)
    ensure_keeper(keeper_plan(simulated.state, simulated.settings))
    try:
        assert simulated.supervisor.start().yes
        yield simulated
    finally:
        with suppress(NotReachable):
            simulated.supervisor.stop()


class TestSimulator(SupervisorContract):
    """``live`` is the fixture above."""


def test_the_engine_adapter_sees_it_healthy_hung_and_gone(live: Simulated) -> None:
    assert eventually(lambda: live.engine.serving()[0])
    assert live.engine.serving()[1]
    assert live.canary() is CanaryOutcome.SERVED
    scrape = live.engine.scrape(1.0)
    assert scrape.ok, scrape.because
    assert scrape.generation_tokens is not None
    assert scrape.generation_tokens >= 1
    assert None not in (scrape.running, scrape.waiting, scrape.kv_cache_ratio)

    incarnation = live.supervisor.observe(0.0).incarnation
    assert incarnation is not None
    httpx.post(f"{live.url}/sim/fault", json={"kind": "hang"}).raise_for_status()
    assert live.canary(1.0) is CanaryOutcome.HUNG
    assert live.engine.serving()[0]  # green, and no evidence of health

    os.kill(int(incarnation.id), signal.SIGKILL)
    assert eventually(lambda: live.supervisor.observe(0.0).incarnation is None)
    assert live.canary(1.0) is CanaryOutcome.REFUSED
    assert not live.engine.scrape(1.0).ok
