"""Finds the keeper of a state directory, or starts one: in its own session, so that it outlives whoever started it."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from watchtower.adapters.keeper.keeper_client import ask
from watchtower.adapters.keeper.protocol import KeeperPlan, Observe, Observed
from watchtower.clock import boottime, sleep_blocking
from watchtower.vocabulary.errors import Deadline, ExitCode, NotReachable, ProtocolFault

LOG_NAME = "keeper.log"


@dataclass(frozen=True)
class KeeperFound:
    """One served already."""

    pid: int
    same_plan: bool
    """False: it was started with another plan and keeps using that one until it is stopped."""


@dataclass(frozen=True)
class KeeperStarted:
    pid: int


_started: list[subprocess.Popen[bytes]] = []
"""Keepers this process started; kept so that a dead one is reaped before the next is started."""


def ensure_keeper(plan: KeeperPlan, wait_seconds: float = 15.0) -> KeeperFound | KeeperStarted:
    """Return when a keeper answers on ``plan.socket``. Does not start the engine (that is ``Start``).

    Raises ``NotReachable`` with the keeper's last words when none could be started within ``wait_seconds``."""
    _started[:] = [keeper for keeper in _started if keeper.poll() is None]
    seen = _look(plan)
    if seen is not None:
        return KeeperFound(seen.keeper_pid, seen.plan_digest == plan.digest())
    child = _spawn(plan)
    deadline = boottime() + wait_seconds
    while boottime() < deadline:
        seen = _look(plan)
        if seen is not None and seen.keeper_pid == child.pid:
            return KeeperStarted(child.pid)
        if seen is not None:  # somebody else was faster
            child.wait(wait_seconds)
            return KeeperFound(seen.keeper_pid, seen.plan_digest == plan.digest())
        if child.poll() not in (None, ExitCode.REFUSED):
            break
        sleep_blocking(0.02)
    raise NotReachable(f"the keeper did not start: {_last_words(plan)}")


def _look(plan: KeeperPlan) -> Observed | None:
    try:
        return ask(plan.socket, Observe(), Observed, 5.0)
    except (NotReachable, Deadline, ProtocolFault):
        return None


def _spawn(plan: KeeperPlan) -> subprocess.Popen[bytes]:
    try:
        Path(plan.state).mkdir(mode=0o700, parents=True, exist_ok=True)
        log = os.open(Path(plan.state) / LOG_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise NotReachable(f"the keeper did not start: {problem}") from problem
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "watchtower.programs.keeper", "-"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    finally:
        os.close(log)
    _started.append(child)
    if child.stdin is not None:
        with suppress(BrokenPipeError), child.stdin:
            child.stdin.write(msgspec.json.encode(plan))
    return child


def _last_words(plan: KeeperPlan) -> str:
    try:
        lines = (Path(plan.state) / LOG_NAME).read_text(errors="replace").splitlines()
    except OSError:
        return "and it left no log"
    return lines[-1][:300] if lines else "and it said nothing"
