"""Connects the pure machine to the world: one consumer, one event at a time, durable before done.

For every event: decide; commit records, snapshot and notices in one transaction; publish the new state; only then
perform the effects. What an effect brings back comes in as a new event. If the commit fails, the step never
happened: its effects are dropped (only releases of traffic still go out), and the machine is told that it is
observing from now on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol

import structlog

from watchtower.ports import Clock, Hands, Traffic
from watchtower.remediation.decision import decide
from watchtower.remediation.interface import (
    AskStatus,
    Collect,
    Commanded,
    Dispatch,
    Drained,
    Effect,
    Event,
    EvidenceCollected,
    ExecuteReplied,
    Fenced,
    HoldTraffic,
    RaiseFence,
    ReadBack,
    ReadWeights,
    Record,
    ReleaseTraffic,
    Reserve,
    Reserved,
    SendCanary,
    Settle,
    StatusAnswered,
    StopEngine,
    StorageFailed,
    Tell,
)
from watchtower.remediation.snapshots import encode
from watchtower.remediation.state import TargetState
from watchtower.settings import RemediationSettings
from watchtower.vocabulary.actions import Capabilities
from watchtower.vocabulary.errors import Deadline, StorageFault
from watchtower.vocabulary.incidents import Notice
from watchtower.vocabulary.instants import Instant

log = structlog.get_logger("watchtower.remediation")

Spawn = Callable[[str, Callable[[], Coroutine[Any, Any, None]]], None]


COMMAND_SECONDS = 5.0
"""How long a person at a terminal waits to hear what became of a command."""


class Memory(Protocol):
    """What the runner needs of storage: one atomic, durable step."""

    async def commit(self, records: Sequence[Record], snapshot: bytes, notices: Sequence[Notice], now: Instant) -> None:
        """Raises StorageFault; then nothing was written."""
        ...


class Runner:
    """Owns the target's state. ``submit`` is the only way in; ``state`` is what is committed."""

    def __init__(
        self,
        state: TargetState,
        *,
        limits: RemediationSettings,
        capabilities: Capabilities,
        clock: Clock,
        memory: Memory,
        traffic: Traffic,
        hands: Hands,
        send_canary: Callable[[str], None],
        spawn: Spawn,
        on_commit: Callable[[TargetState], None] = lambda state: None,
        stop_engine: Callable[[str], None] = lambda reason: None,
    ) -> None:
        """``stop_engine``: a person wants the engine ended; nobody can where no owner of it is given."""
        self.state = state
        self.capabilities = capabilities
        self.events_waiting = asyncio.Queue[Event](maxsize=1000)
        self.dropped = 0
        self._limits = limits
        self._clock = clock
        self._memory = memory
        self._traffic = traffic
        self._hands = hands
        self._send_canary = send_canary
        self._spawn = spawn
        self._on_commit = on_commit
        self._stop_engine = stop_engine
        self._asked: list[tuple[Commanded, asyncio.Future[str]]] = []
        self._reading = self._reading_wanted = False
        """Of the weights: one is under way; one was asked for that has not begun."""

    async def command(self, event: Commanded, within: float = COMMAND_SECONDS) -> str:
        """A person's command, through the same queue: "" when it is obeyed and durable, otherwise why it is not.
        Raises Deadline when that is not known ``within`` seconds; it may still be obeyed later."""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._asked.append((event, answer))
        self.submit(event)
        try:
            async with asyncio.timeout(within):
                return await answer
        except TimeoutError as problem:
            raise Deadline(f"the command is not yet carried out after {within:g} s; it may still be") from problem
        finally:
            self._asked.remove((event, answer))

    def submit(self, event: Event) -> None:
        """Queue one event. A full queue drops it and counts: evidence comes again with the next tick."""
        try:
            self.events_waiting.put_nowait(event)
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        while True:
            await self.step(await self.events_waiting.get())

    async def step(self, event: Event) -> None:
        """Decide, commit, publish, perform."""
        now = self._clock.now()
        state, effects = decide(self.state, event, now, self._limits, self.capabilities)
        records = [effect for effect in effects if isinstance(effect, Record)]
        notices = [effect.notice for effect in effects if isinstance(effect, Tell)]
        if records or notices:
            try:
                await self._memory.commit(records, encode(state), notices, now)
            except StorageFault as fault:
                await self._go_on_without_disk(fault, event, state, effects)
                return
        self.state = state
        self._on_commit(state)
        self._answer_command(
            event, "".join(str(record.body["because"]) for record in records if record.kind == "command.refused")
        )
        for record in records:
            log.info(record.kind, **{k: v for k, v in record.body.items() if isinstance(v, str | int | float | bool)})
        for effect in effects:
            await self._perform(effect)

    async def _go_on_without_disk(
        self, fault: StorageFault, event: Event, state: TargetState, effects: Sequence[Effect]
    ) -> None:
        log.error("journal.failed", because=str(fault))
        self._answer_command(event, f"it could not be written down, so it was not done: {fault}")
        for effect in effects:
            if isinstance(effect, ReleaseTraffic):
                await self._perform(effect)
        if isinstance(event, StorageFailed):  # not even memory took it: the latch itself must still hold
            self.state = state
            self._on_commit(state)
        else:
            self.submit(StorageFailed(str(fault)))

    def _answer_command(self, event: Event, because: str) -> None:
        for asked, answer in self._asked:
            if asked is event and not answer.done():
                answer.set_result(because)

    async def _perform(self, effect: Effect) -> None:
        match effect:
            case HoldTraffic(op_id, drain):
                self._later(f"hold {op_id}", self._hold(op_id, drain))
            case Reserve(op_id):  # no fleet: nobody to ask
                self.submit(Reserved(op_id, granted=True, because="there is no fleet"))
            case Collect(op_id):  # no collector: nothing to wait for
                self.submit(EvidenceCollected(op_id, because="nobody collects evidence"))
            case StopEngine(author, reason):
                self._stop_engine(f"{author}: {reason}")
            case ReleaseTraffic(op_id):
                await self._traffic.release(op_id)
            case Dispatch(plan):
                self._later(
                    f"execute {plan.op_id}", self._answer(self._hands.execute(plan), plan.op_id, ExecuteReplied)
                )
            case AskStatus(op_id):
                self._later(f"status {op_id}", self._answer(self._hands.status(op_id), op_id, StatusAnswered))
            case RaiseFence(token):
                self._later(f"fence {token}", self._answer(self._hands.fence(token), token, Fenced))
            case ReadWeights(why):
                log.info("weights.read", why=why)
                self._reading_wanted = True
                if not self._reading:  # one at a time: the engine stands still meanwhile
                    self._reading = True
                    self._later("read weights", self._read_weights())
            case SendCanary(why):
                self._send_canary(why)
            case Record() | Tell() | Settle():
                pass

    async def _hold(self, op_id: str, drain: bool) -> None:
        self.submit(Drained(op_id, await self._traffic.hold(op_id, drain=drain)))

    async def _read_weights(self) -> None:
        """Once more where it was wanted again meanwhile: another engine may run by now."""
        try:
            while self._reading_wanted:
                self._reading_wanted = False
                self.submit(ReadBack(await self._hands.checkpoint()))
        finally:
            self._reading = False

    async def _answer(self, call: Awaitable[Any], key: Any, make: Callable[[Any, Any], Event]) -> None:
        self.submit(make(key, await call))

    def _later(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        async def run() -> None:
            await work

        self._spawn(name, run)
