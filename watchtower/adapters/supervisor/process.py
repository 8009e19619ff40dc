"""Supervisor "process": our keeper owns the engine's process tree; this is its blocking client.

Everything that is not a clear answer of the keeper is UNKNOWN, CANNOT_TELL or False: the keeper may have acted all the
same, and its durable ledger will tell.
"""

from __future__ import annotations

import os
from pathlib import Path

from watchtower.adapters.keeper.keeper_client import ask
from watchtower.adapters.keeper.protocol import (
    Confirmed,
    Execute,
    Executed,
    Fence,
    KeeperPlan,
    Observe,
    Observed,
    Stands,
    Start,
    Status,
    Stop,
)
from watchtower.settings import SupervisorSettings
from watchtower.vocabulary.actions import Answer, Capabilities, Plan, Reply, ReplyKind, Verb
from watchtower.vocabulary.errors import Deadline, NotReachable, ProtocolFault
from watchtower.vocabulary.facts import EngineSeen

LOOK_SECONDS = 2.5
"""For what the keeper answers at once; shorter than the adapter's own deadline, so that the reason is told."""
NOTE_SECONDS = 4.5
"""For what the keeper writes down, and syncs, before it answers."""
END_SECONDS = 45.0
"""What a tree may take beyond its ``term_seconds``."""


def keeper_plan(state_directory: Path, settings: SupervisorSettings) -> KeeperPlan:
    """What the keeper of this state directory is to run."""
    return KeeperPlan(
        state=str(state_directory),
        socket=keeper_socket(state_directory),
        log=str(state_directory / "engine.log"),
        argv=settings.command,
        environment=settings.environment,
        directory=os.path.abspath(settings.working_directory) if settings.working_directory else "",
        term_seconds=settings.term_seconds,
    )


def keeper_socket(state_directory: Path) -> str:
    return str(state_directory / "keeper.sock")


class ProcessSupervisor:
    """Port ``Supervisor`` over the keeper's socket; besides it ``start`` and ``stop`` for whoever runs the whole."""

    def __init__(self, settings: SupervisorSettings, state_directory: Path) -> None:
        self._socket = keeper_socket(state_directory)
        self._effect_seconds = settings.term_seconds + END_SECONDS

    def capabilities(self) -> Capabilities:
        # restart_host is understood by the keeper but not claimed: around a bare process tree there is no wider host,
        # and a rung that does the same again would only spend an attempt
        return Capabilities(
            verbs=(Verb.RESTART_GROUP,), idempotent_durable=True, fence=True, cas_incarnation=True, cancel=False
        )

    def observe(self, at: float) -> EngineSeen:
        try:
            seen = ask(self._socket, Observe(), Observed, LOOK_SECONDS)
        except (NotReachable, Deadline, ProtocolFault) as problem:
            return EngineSeen(at=at, known=False, because=str(problem))
        return EngineSeen(at=at, known=True, because=seen.because, incarnation=seen.incarnation, ended=seen.ended)

    def execute(self, plan: Plan) -> Reply:
        try:
            return ask(self._socket, Execute(plan), Executed, self._effect_seconds).reply
        except NotReachable as problem:
            return Reply(ReplyKind.REJECTED, f"nothing was sent: {problem}"[:300])
        except (Deadline, ProtocolFault) as problem:
            return Reply(ReplyKind.UNKNOWN, str(problem)[:300])

    def status(self, op_id: str) -> Answer:
        try:
            return ask(self._socket, Status(op_id), Stands, NOTE_SECONDS).standing
        except (NotReachable, Deadline, ProtocolFault):
            return Answer.CANNOT_TELL

    def fence(self, token: int) -> bool:
        try:
            return ask(self._socket, Fence(token), Confirmed, NOTE_SECONDS).yes
        except (NotReachable, Deadline, ProtocolFault):
            return False

    def start(self, *, again: bool = False) -> Confirmed:
        """Start the engine where none runs yet. Raises ``NotReachable``, ``Deadline``, ``ProtocolFault``."""
        return ask(self._socket, Start(again), Confirmed, self._effect_seconds)

    def stop(self) -> Confirmed:
        """End the engine and its keeper. Raises ``NotReachable``, ``Deadline``, ``ProtocolFault``."""
        return ask(self._socket, Stop(), Confirmed, self._effect_seconds)
