"""A real vLLM with two tensor-parallel workers under the keeper: a hang behind a green /health, and its cure."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from watchtower.adapters.engine.vllm import VllmEngine
from watchtower.adapters.keeper.launching import ensure_keeper
from watchtower.adapters.keeper.processes import Process, look, tree
from watchtower.adapters.supervisor.process import ProcessSupervisor, keeper_plan
from watchtower.clock import boottime
from watchtower.settings import EngineSettings, SupervisorKind, SupervisorSettings
from watchtower.simulator.vllm_cpu import engine as vllm_cpu
from watchtower.testing.adapters import eventually, plan
from watchtower.vocabulary.actions import Answer, Incarnation, ReplyKind
from watchtower.vocabulary.errors import NotReachable
from watchtower.vocabulary.facts import CanaryOutcome

pytestmark = [pytest.mark.real_vllm, pytest.mark.timeout(600)]
READY_SECONDS = 240.0


def test_a_stopped_worker_hangs_the_canary_behind_a_green_health_and_a_restart_cures_it(tmp_path: Path) -> None:
    environment = vllm_cpu.venv()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = SupervisorSettings(
        kind=SupervisorKind.PROCESS,
        command=vllm_cpu.command(vllm_cpu.checkpoint(tmp_path / "good", 0, environment), port, environment),
        environment=vllm_cpu.variables(),
        term_seconds=15,
    )
    found = ensure_keeper(keeper_plan(tmp_path / "state", settings))
    supervisor = ProcessSupervisor(settings, tmp_path / "state")
    engine = VllmEngine(EngineSettings(url=f"http://127.0.0.1:{port}"))

    def canary(seconds: float) -> CanaryOutcome:
        return engine.canary("real", boottime(), seconds).outcome

    def until(true: Callable[[], bool]) -> None:
        log = tmp_path / "state" / "engine.log"
        assert eventually(true, READY_SECONDS), log.read_text(errors="replace")[-3000:]

    try:
        assert supervisor.start().yes
        until(lambda: engine.serving()[0])
        until(lambda: canary(30.0) is CanaryOutcome.SERVED)
        before = supervisor.observe(0.0).incarnation
        assert before is not None
        scrape = engine.scrape(0.0)
        assert scrape.ok, scrape.because
        assert (scrape.generation_tokens or 0) >= 1
        assert None not in (scrape.running, scrape.waiting, scrape.kv_cache_ratio)

        members = tree(found.pid, before, "")
        workers = [member for member in members if _title(member).startswith("VLLM::Worker")]
        assert len(workers) == 2, [_title(member) for member in members]
        os.kill(workers[0].pid, signal.SIGSTOP)
        assert canary(5.0) is CanaryOutcome.HUNG
        assert engine.serving()[0]

        reply = supervisor.execute(plan("cure", before))
        assert reply.kind is ReplyKind.ACKED, reply.because
        assert [_title(member) for member in members if _same(member)] == []
        after = supervisor.observe(0.0).incarnation
        assert isinstance(after, Incarnation) and after != before
        assert supervisor.status("cure") is Answer.DONE
        until(lambda: canary(30.0) is CanaryOutcome.SERVED)
    finally:
        with suppress(NotReachable):
            assert supervisor.stop().yes


def _title(process: Process) -> str:
    try:
        return Path(f"/proc/{process.pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()
    except OSError:
        return ""


def _same(process: Process) -> bool:
    now = look(process.pid)
    return now is not None and now.started == process.started and now.state not in "ZX"
