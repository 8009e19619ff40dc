"""Real engines under real supervisors, for the contract suite."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from watchtower.adapters.engine.vllm import VllmEngine, VllmEngineSettings
from watchtower.adapters.keeper.keeper_client import ask
from watchtower.adapters.keeper.launching import ensure_keeper
from watchtower.adapters.keeper.process_tree import look
from watchtower.adapters.keeper.protocol import Observe, Observed
from watchtower.adapters.supervisor.process import (
    ProcessSupervisor,
    ProcessSupervisorSettings,
    keeper_plan,
    keeper_socket,
)
from watchtower.clock import boottime
from watchtower.testing.adapters import eventually
from watchtower.vocabulary.errors import NotReachable
from watchtower.vocabulary.facts import CanaryOutcome

PROGRAM = Path(__file__).with_name("process_tree.py")


class ProcessTree:
    """``process_tree.py`` under a keeper of its own."""

    def __init__(self, directory: Path, traits: tuple[str, ...], term_seconds: float) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.settings = ProcessSupervisorSettings(
            command=(sys.executable, "-S", str(PROGRAM), str(directory), *traits),
            term_seconds=term_seconds,
        )
        self.supervisor = ProcessSupervisor(self.settings, self.state)

    def begin(self) -> None:
        self.ensure_keeper()
        started = self.supervisor.start()
        assert started.yes, started.because
        assert eventually(lambda: self.starts() == 1), (self.state / "engine.log").read_text()

    def ensure_keeper(self) -> None:
        ensure_keeper(keeper_plan(self.state, self.settings))

    def keeper_pid(self) -> int:
        return ask(keeper_socket(self.state), Observe(), Observed, 5.0).keeper_pid

    def lines(self, name: str) -> list[str]:
        try:
            return (self.directory / name).read_text().split("\n")[:-1]
        except FileNotFoundError:
            return []

    def starts(self) -> int:
        return len(self.lines("starts"))

    def members(self) -> set[int]:
        return {int(pid) for pid in self.lines("pids")}

    def running(self, pid: int) -> bool:
        process = look(pid)
        return process is not None and process.state not in "ZX"


class Simulated:
    """The simulator on a free port; a start counts when it is written in the engine's log."""

    def __init__(self, directory: Path, *more: str) -> None:
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
                *more,
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


@contextmanager
def process_tree(directory: Path, *traits: str, term_seconds: float = 5.0) -> Iterator[ProcessTree]:
    """One that runs; afterwards engine and keeper are ended."""
    live = ProcessTree(directory, traits, term_seconds)
    try:
        live.begin()
        yield live
    finally:
        with suppress(NotReachable):  # a test may have killed it (or damaged its ledger)
            live.ensure_keeper()
        with suppress(NotReachable):
            keeper = live.keeper_pid()
            assert live.supervisor.stop().yes
            assert eventually(lambda: not live.running(keeper)), "it answers first, and leaves then"
