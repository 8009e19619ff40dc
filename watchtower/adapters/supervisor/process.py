"""Supervisor "process": our keeper owns the engine's process tree; this is its blocking client.

Everything that is not a clear answer of the keeper is UNKNOWN, CANNOT_TELL or False: the keeper may have acted all the
same, and its durable ledger will tell.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import ClassVar, Literal

import structlog
from pydantic import model_validator

from watchtower.adapters.keeper.inheritance import inherited
from watchtower.adapters.keeper.keeper_client import ask
from watchtower.adapters.keeper.launching import LOG_NAME, KeeperFound, ensure_keeper
from watchtower.adapters.keeper.protocol import (
    Confirmed,
    Execute,
    ExecutionReply,
    Fence,
    KeeperPlan,
    Observe,
    Observed,
    Stands,
    Start,
    Status,
    Stop,
)
from watchtower.clock import boottime, sleep_blocking
from watchtower.knobs import Seconds, SupervisorSettings
from watchtower.vocabulary.actions import Answer, Capabilities, Plan, Reply, ReplyKind, Verb
from watchtower.vocabulary.checks import Check, Health
from watchtower.vocabulary.errors import Deadline, NotReachable, ProtocolFault, WatchtowerError
from watchtower.vocabulary.facts import EngineSeen
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.ownership import Ensured, PersonOrder, PersonVerb

log = structlog.get_logger("watchtower.keeper")

LOOK_SECONDS = 2.5
"""For what the keeper answers at once; shorter than the adapter's own deadline, so that the reason is told."""
NOTE_SECONDS = 4.5
"""For what the keeper writes down, and syncs, before it answers."""
END_SECONDS = 45.0
"""What a tree may take beyond its ``term_seconds``."""
LEAVE_SECONDS = 5.0
"""What a keeper may take to leave, once its engine has ended."""


class ProcessKnobs(SupervisorSettings):
    """What can be written about an engine of ours; ``none`` takes it too, and leaves it alone."""

    command: tuple[str, ...] = ()
    """The engine's command line, one argument per item. No shell."""
    environment: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it
    """Added to the engine's environment."""
    withhold: tuple[str, ...] = ()
    """Variables of Watchtower's environment that the engine does not inherit, exact or with ``*``. It never gets
    ``WATCHTOWER__…``, nor a variable that holds a secret of this configuration (but for those of ``engine``)."""
    working_directory: Path | None = None
    """Where the engine runs; default: where the keeper was started."""
    term_seconds: Seconds = 10.0
    """How long the process tree may take to leave after SIGTERM, before SIGKILL."""
    ready_seconds: Seconds = 600.0
    """How long a start may take until the engine serves."""

    def withholding(self, names: Collection[str]) -> ProcessKnobs:
        return self.model_copy(update={"withhold": (*self.withhold, *sorted(names))})


class ProcessSupervisorSettings(ProcessKnobs):
    """Our keeper starts and owns the engine."""

    acts: ClassVar[bool] = True
    starts_engine: ClassVar[bool] = True
    kind: Literal["process"] = "process"
    """Our keeper starts and owns the engine."""

    @model_validator(mode="after")
    def _a_process_needs_a_command(self) -> ProcessSupervisorSettings:
        if not self.command:
            raise ValueError(
                "supervisor 'process' needs the engine's command line · add supervisor.command: [vllm, serve, …]"
            )
        return self


def keeper_plan(state_directory: Path, settings: ProcessSupervisorSettings) -> KeeperPlan:
    """What the keeper of this state directory is to run."""
    return KeeperPlan(
        state=str(state_directory),
        socket=keeper_socket(state_directory),
        log=str(state_directory / "engine.log"),
        argv=settings.command,
        inherited=inherited(os.environ, settings.withhold),
        environment=settings.environment,
        directory=os.path.abspath(settings.working_directory) if settings.working_directory else "",
        term_seconds=settings.term_seconds,
    )


def keeper_socket(state_directory: Path) -> str:
    return str(state_directory / "keeper.sock")


class KeeperOwner:
    """Port ``Owner``: starts the keeper, and another one when it is gone, which takes over the engine that it left."""

    def __init__(self, settings: ProcessSupervisorSettings, state_directory: Path) -> None:
        self._plan = keeper_plan(state_directory, settings)
        self._supervisor = ProcessSupervisor(settings, state_directory)
        self._begun = False

    async def ensure(self, now: Instant) -> Ensured:
        """Raises NotReachable; the first time also Deadline and ProtocolFault."""
        return await asyncio.to_thread(self._ensure, now)

    async def close(self, end_engine: bool) -> None:
        if end_engine and self._begun:
            try:
                await asyncio.to_thread(self._supervisor.stop)
            except WatchtowerError as problem:
                log.error("engine.not_ended", because=str(problem))

    async def order(self, order: PersonOrder) -> Reply:
        act: Callable[[], Confirmed] = self._start_again if order.verb is PersonVerb.START else self._stop
        log.info("engine.ordered", verb=order.verb.value, by=order.author, reason=order.reason)
        try:
            confirmed = await asyncio.to_thread(act)
        except NotReachable as problem:
            return Reply(ReplyKind.REJECTED, f"nothing was sent: {problem}"[:300])
        except WatchtowerError as problem:
            return Reply(ReplyKind.UNKNOWN, str(problem)[:300])
        return Reply(ReplyKind.ACKED if confirmed.yes else ReplyKind.REJECTED, confirmed.because)

    def _start_again(self) -> Confirmed:
        """Although it ended by itself, or somebody stopped it."""
        ensure_keeper(self._plan)
        return self._supervisor.start(again=True)

    def _stop(self) -> Confirmed:
        """Engine and keeper; the keeper answers first and leaves then, and nobody shall talk to one that leaves."""
        confirmed = self._supervisor.stop()
        until = boottime() + LEAVE_SECONDS
        while boottime() < until and self._supervisor.observe(boottime()).known:
            sleep_blocking(0.02)
        return confirmed

    def _ensure(self, now: Instant) -> Ensured:
        keeper = ensure_keeper(self._plan)
        found = isinstance(keeper, KeeperFound)
        because = ""
        if not self._begun:
            log.info("keeper", pid=keeper.pid, found=found)
            if isinstance(keeper, KeeperFound) and not keeper.same_plan:
                because = "its engine keeps the command line it was started with until it ends"
                log.warning("keeper.other_plan", cure=because)
            self._begun = True
            confirmed = self._supervisor.start()
            if not confirmed.yes:
                because = confirmed.because
                log.error("engine.not_started", because=because)
        elif not found:
            log.warning("keeper.replaced", pid=keeper.pid)
        return Ensured(incarnation=self._supervisor.observe(now.boot).incarnation, found=found, because=because)


class ProcessSupervisor:
    """Port ``Supervisor`` over the keeper's socket; besides it ``start`` and ``stop`` for whoever runs the whole."""

    Settings = ProcessSupervisorSettings
    Owner = KeeperOwner

    def __init__(self, settings: ProcessSupervisorSettings, state_directory: Path) -> None:
        self._plan = keeper_plan(state_directory, settings)
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
            return ask(self._socket, Execute(plan), ExecutionReply, self._effect_seconds).reply
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

    def examine(self) -> Check:
        """Is its program there, and does a keeper with this very plan answer?"""
        name, program = "keeper", self._plan.argv[0]
        if shutil.which(program) is None:
            what = f"there is no program {program!r}"
            return Check(name, Health.PROBLEM, what, "mend the first word of supervisor.command")
        try:
            seen = ask(self._socket, Observe(), Observed, LOOK_SECONDS)
        except NotReachable:
            return Check(name, Health.OK, "not started yet: 'watchtower run' starts it")
        except (Deadline, ProtocolFault) as problem:
            return Check(name, Health.PROBLEM, str(problem), f"read {self._plan.state}/{LOG_NAME}")
        if seen.plan_digest != self._plan.digest():
            what = f"pid {seen.keeper_pid} runs with an older plan"
            return Check(name, Health.PROBLEM, what, "restart the engine by hand once, so that the new plan is used")
        return Check(name, Health.OK, f"pid {seen.keeper_pid}")

    def start(self, *, again: bool = False) -> Confirmed:
        """Start the engine where none runs yet. Raises ``NotReachable``, ``Deadline``, ``ProtocolFault``."""
        return ask(self._socket, Start(again), Confirmed, self._effect_seconds)

    def stop(self) -> Confirmed:
        """End the engine and its keeper. Raises ``NotReachable``, ``Deadline``, ``ProtocolFault``."""
        return ask(self._socket, Stop(), Confirmed, self._effect_seconds)
