"""Everything that must stand before the first fault: directory, addresses, configuration, daemon.

The demo runs the daemon as any user would, ``watchtower run --config FILE --own-everything``, in a process of its own,
and ends it with SIGTERM. Its configuration and rules lie in the directory for the audience to read.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from watchtower.lab.simulator.swap import write_stand_in
from watchtower.lab.simulator.vllm_cpu import engine as vllm
from watchtower.rules.rule_files import shipped_rules
from watchtower.vocabulary.errors import NotReachable

WEIGHTS = "(the demo's checkpoint)"
"""Stands in the simulator's command line until the stage has a directory."""
_END_SECONDS = 45.0
"""Longest that the daemon may take to end itself, relay, keeper and engine after SIGTERM."""


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """How the demo's engine is started, and the patience it needs."""

    kind: str
    model: str
    command: tuple[str, ...]
    url: str
    environment: dict[str, str] = field(default_factory=dict)
    start_seconds: float = 30.0
    """Longest start that the demo waits for."""
    cure_seconds: float = 75.0
    """Longest from a fault to its verified cure."""
    callers: int = 8
    max_tokens: int = 32
    limits: dict[str, Any] = field(default_factory=dict)
    """Configuration that this engine needs beside the profile's."""
    faults: tuple[str, ...] = ("slow", "hang", "drift")
    """What is done to it, in order."""
    weights: str = ""
    """Directory of the checkpoint that it serves."""
    other_weights: str = ""
    """Directory of the one that the fault *drift* loads."""


def simulator_plan(seed: int) -> EnginePlan:
    port = free_port()
    program = (sys.executable, "-m", "watchtower.programs.simulator")
    command = (*program, "--port", str(port), "--seed", str(seed), "--checkpoint", WEIGHTS)
    return EnginePlan(
        "simulator",
        "tiny",
        command,
        f"http://127.0.0.1:{port}",
        limits={"hardware": {"source": "simulated"}},
        faults=("slow", "hang", "imbalance", "drift"),
    )


def with_weights(plan: EnginePlan, directory: Path) -> EnginePlan:
    """The simulator's two checkpoints lie beside the configuration; a real engine has its own."""
    if plan.weights:
        return plan
    good, other = (str(write_stand_in(directory / "weights" / name)) for name in ("tiny-good", "tiny-other"))
    command = tuple(good if item == WEIGHTS else item for item in plan.command)
    return replace(plan, command=command, weights=good, other_weights=other)


def vllm_plan(seed: int) -> EnginePlan:
    """A real vLLM on the CPU; installs it and writes its checkpoint first when they are missing. Raises NoVllm."""
    environment = vllm.install()
    weights, other = (
        vllm.checkpoint(environment.parent / f"tiny-checkpoint-{number}", number, environment)
        for number in (seed, seed + 1)
    )
    port = free_port()
    # A real engine loads for a minute, and its first answer takes long: what waits for it must be as patient.
    limits: dict[str, Any] = {
        "hardware": {"source": "none"},
        "relay": {"hold": {"wait_seconds": 170, "total_seconds": 180}},
        "canary": {"deadline_seconds": 10},
        "references": {"deadline_seconds": 60},
        "scoring": {"encoder": "none"},  # two processors already carry an engine of two ranks and its callers
        "remediation": {"verify_seconds": 240, "warmup_seconds": 60, "execute_seconds": 120},
    }
    return EnginePlan(
        "vllm",
        vllm.MODEL,
        vllm.command(weights, port, environment),
        f"http://127.0.0.1:{port}",
        environment=vllm.variables(),
        start_seconds=300.0,
        cure_seconds=300.0,
        callers=8,  # so many that a window holds enough tokens and requests for a judgement even while it is slow
        max_tokens=24,
        limits=limits,
        weights=str(weights),
        other_weights=str(other),
    )


PLANS = {"simulator": simulator_plan, "vllm": vllm_plan}


@dataclass(slots=True)
class Stage:
    """A running daemon and where everything is."""

    plan: EnginePlan
    directory: Path
    config: Path
    log: Path
    relay: str
    web: str
    daemon: asyncio.subprocess.Process
    keep_files: bool = False
    """Leave the directory (configuration, rules, log, journal) behind for whoever wants to look."""

    @property
    def rules(self) -> Path:
        return self.directory / "rules.yaml"

    @property
    def state(self) -> Path:
        return self.directory / "state"

    def must_live(self) -> None:
        """Raises NotReachable, with the daemon's last words, when it has ended."""
        if self.daemon.returncode is not None:
            raise NotReachable(f"the daemon ended with {self.daemon.returncode}:\n{self.last_words()}")

    def last_words(self, lines: int = 12) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def make_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def configuration(
    plan: EnginePlan, directory: Path, *, mode: str, relay: str, web: str, notices: str, secret: str
) -> dict[str, Any]:
    """The whole ``watchtower.yaml`` of the demo, as data."""
    document: dict[str, Any] = {
        "version": 1,
        "target": f"demo-{plan.kind}",
        "state_directory": str(directory / "state"),
        "rules": ["rules.yaml"],
        "engine": {"kind": "vllm", "url": plan.url, "model": plan.model},
        "supervisor": {
            "kind": "process",
            "command": list(plan.command),
            "environment": plan.environment,
            "ready_seconds": plan.start_seconds,
        },
        "relay": {"listen": relay},
        "remediation": {"profile": "demo", "mode": mode},
        "sinks": [{"kind": "log"}, {"kind": "webhook", "url": notices, "secret": secret}],
        "web": {"listen": web},
    }
    for group, values in plan.limits.items():
        document.setdefault(group, {}).update(values)
    return document


@asynccontextmanager
async def staged(plan: EnginePlan, *, mode: str, notices: str, secret: str) -> AsyncIterator[Stage]:
    """Start the daemon; on leaving end it and everything it owns, and remove the directory unless it shall stay."""
    directory = Path(tempfile.mkdtemp(prefix="watchtower-demo-"))
    plan = with_weights(plan, directory)
    relay, web = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    config, log = directory / "watchtower.yaml", directory / "daemon.log"
    document = configuration(plan, directory, mode=mode, relay=relay, web=web, notices=notices, secret=secret)
    config.touch(mode=0o600)
    config.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    shutil.copyfile(shipped_rules() / "demo.yaml", directory / "rules.yaml")
    with log.open("wb") as output:
        daemon = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "watchtower.cli", "run", "--config", str(config), "--own-everything"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a Ctrl-C is for the demo, which then ends the daemon in order
        )
    stage = Stage(plan, directory, config, log, f"http://{relay}", f"http://{web}", daemon)
    try:
        yield stage
    finally:
        await _end(daemon)
        if not stage.keep_files:
            shutil.rmtree(directory, ignore_errors=True)


async def _end(daemon: asyncio.subprocess.Process) -> None:
    if daemon.returncode is None:
        daemon.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(daemon.wait(), _END_SECONDS)
        except TimeoutError:
            daemon.kill()
            await daemon.wait()


def free_port() -> int:
    """A port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
