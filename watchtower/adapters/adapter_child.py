"""The daemon's side of the adapter child: every call ends by its deadline, whatever the engine or the kernel does.

A child that misses the deadline of a look or an act is killed and replaced; what it was doing is UNKNOWN, never
"failed". Since a child owns nothing, killing it has no effect on the engine. A canary that hangs is evidence, not a
sick child: it is answered HUNG and the child lives on.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
import structlog

from watchtower.adapters.calls import LINE_BYTES, READY, Call, Method, Result, Setup
from watchtower.ports import Clock
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.actions import Answer, Capabilities, Plan, Reply, ReplyKind
from watchtower.vocabulary.errors import Deadline, NotReachable, ProtocolFault, WatchtowerError
from watchtower.vocabulary.facts import CanaryEnded, CanaryOutcome, CheckpointSeen, EngineScrape, EngineSeen
from watchtower.vocabulary.references import EngineAnswer, Question

Value = TypeVar("Value")

START_SECONDS = 30.0
"""How long a child may take from its start until it is ready; only then deadlines of calls can kill it."""
SCRAPE_SECONDS = 10.0
CANARY_GRACE_SECONDS = 1.0
"""The child answers HUNG by itself at the canary's deadline; this much later we do."""

log = structlog.get_logger("watchtower.adapters.adapter_child")


class _Child:
    """One process and the calls it owes an answer."""

    def __init__(self, process: asyncio.subprocess.Process, started_at: float, tasks: TaskGroup) -> None:
        self.process = process
        self.started_at = started_at
        self.tasks = tasks
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.owed: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self.gone = ""
        """Why it is of no use any more."""

    def give_up(self, because: str) -> None:
        """Kill it and fail everything it owes; later calls change nothing."""
        if self.gone:
            return
        self.gone = because
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        owed: list[asyncio.Future[Any]] = [self.ready, *self.owed.values()]
        for future in owed:
            if not future.done():
                future.set_exception(ProtocolFault(because))
                future.exception()  # seen: nobody may be waiting any more
        self.owed.clear()


class AdapterChild:
    """Starts the child when first needed, again after it was killed, and never lets a caller wait too long."""

    def __init__(
        self,
        setup: Setup,
        clock: Clock,
        *,
        observe_seconds: float = 5.0,
        execute_seconds: float = 120.0,
        reload_seconds: float = 600.0,
        checkpoint_seconds: float = 120.0,
        program: tuple[str, ...] = (sys.executable, "-m", "watchtower.programs.adapter"),
    ) -> None:
        """``observe_seconds`` is the deadline of observe, fence and capabilities, ``execute_seconds`` of a restart,
        ``reload_seconds`` of a rollback, ``checkpoint_seconds`` of reading weights back, which settling a rollback
        may need as well; ``program`` is the child."""
        self._setup = setup
        self._clock = clock
        self._observe_seconds = observe_seconds
        self._execute_seconds = execute_seconds
        self._reload_seconds = reload_seconds
        self._checkpoint_seconds = checkpoint_seconds
        self._program = program
        self._ids = itertools.count(READY + 1)
        self._child: _Child | None = None
        self._starting = asyncio.Lock()
        self._closed = False
        self.kills = 0
        """Children killed at a deadline or for garbage, since the start of the daemon."""

    @property
    def up(self) -> bool:
        """A child runs, became ready and owes no answer for too long."""
        child = self._child
        return child is not None and not child.gone and child.ready.done()

    async def start(self) -> bool:
        """Start the child ahead of the first call, which else has to wait for it; whether it became ready."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._ready_child()
        except (TimeoutError, NotReachable):
            return False
        return True

    async def observe(self) -> EngineSeen:
        at = self._clock.now().boot
        try:
            return await self._ask(Method.OBSERVE, EngineSeen, self._observe_seconds, at=at)
        except WatchtowerError as problem:
            return EngineSeen(at=at, known=False, because=str(problem))

    async def execute(self, plan: Plan) -> Reply:
        within = self._reload_seconds if plan.verb.loads_weights else self._execute_seconds
        try:
            return await self._ask(Method.EXECUTE, Reply, within, plan=plan, seconds=0.8 * within)
        except NotReachable as problem:
            return Reply(ReplyKind.REJECTED, f"nothing was sent: {problem}")
        except WatchtowerError as problem:
            return Reply(ReplyKind.UNKNOWN, str(problem))

    async def status(self, op_id: str) -> Answer:
        try:
            within = self._observe_seconds + self._checkpoint_seconds
            return await self._ask(Method.STATUS, Answer, within, op_id=op_id)
        except WatchtowerError:
            return Answer.CANNOT_TELL

    async def fence(self, token: int) -> bool:
        try:
            return await self._ask(Method.FENCE, bool, self._observe_seconds, token=token)
        except WatchtowerError:
            return False

    async def capabilities(self) -> Capabilities:
        """What the supervisor claims; nothing at all when it cannot be asked.

        It is asked once for a whole run, often first of all: a child that starts slowly must not cost every cure."""
        await self.start()
        try:
            return await self._ask(Method.CAPABILITIES, Capabilities, self._observe_seconds)
        except WatchtowerError:
            return Capabilities()

    async def scrape(self) -> EngineScrape:
        at = self._clock.now().boot
        try:
            return await self._ask(Method.SCRAPE, EngineScrape, SCRAPE_SECONDS, kill=False, at=at)
        except WatchtowerError as problem:
            return EngineScrape(at=at, ok=False, because=str(problem))

    async def checkpoint(self) -> CheckpointSeen:
        at = self._clock.now().boot
        try:
            return await self._ask(Method.CHECKPOINT, CheckpointSeen, self._checkpoint_seconds, kill=False, at=at)
        except WatchtowerError as problem:
            return CheckpointSeen(at=at, declared="", because=str(problem))

    async def canary(self, id: str, started_at: float, deadline_seconds: float) -> CanaryEnded:
        """HUNG is for an engine that was asked; a child of ours that failed says UNKNOWN."""
        try:
            return await self._ask(
                Method.CANARY,
                CanaryEnded,
                deadline_seconds + CANARY_GRACE_SECONDS,
                kill=False,
                at=started_at,
                canary=id,
                seconds=deadline_seconds,
            )
        except Deadline as problem:
            outcome, because = CanaryOutcome.HUNG, str(problem)
        except WatchtowerError as problem:
            outcome, because = CanaryOutcome.UNKNOWN, str(problem)
        at = self._clock.now().boot
        return CanaryEnded(
            at=at, id=id, started_at=started_at, outcome=outcome, seconds=at - started_at, because=because
        )

    async def ask(self, question: Question) -> EngineAnswer:
        """One question of ours to the engine. No answer is an answer: ``because`` says why."""
        within = question.seconds + CANARY_GRACE_SECONDS
        try:
            return await self._ask(Method.ASK, EngineAnswer, within, kill=False, question=question)
        except WatchtowerError as problem:
            return EngineAnswer(because=str(problem))

    async def close(self) -> None:
        """End the child. Calls under way fail as if it had been killed."""
        self._closed = True
        if self._child is not None:
            await self._reap(self._child, "Watchtower is ending")

    async def _ask(
        self, method: Method, wanted: type[Value], within: float, *, kill: bool = True, **fields: Any
    ) -> Value:
        """One call. Raises ``NotReachable`` when it was not sent, ``Deadline``, or ``ProtocolFault``."""
        sent: _Child | None = None
        call = Call(id=next(self._ids), method=method, **fields)
        try:
            async with asyncio.timeout(within):
                child = await self._ready_child()
                answer = child.owed[call.id] = asyncio.get_running_loop().create_future()
                sent = child
                self._write(child, msgspec.json.encode(call))
                value = await answer
        except TimeoutError as problem:
            if sent is None:
                raise NotReachable(f"the adapter child was not ready within {within:g} s") from problem
            sent.owed.pop(call.id, None)
            if kill:
                self._kill(sent, f"the adapter child was killed: no answer to {method} within {within:g} s")
            raise Deadline(f"no answer to {method} within {within:g} s") from problem
        try:
            return msgspec.json.decode(value, type=wanted)
        except msgspec.MsgspecError as problem:
            self._kill(sent, "the adapter child answered garbage")
            raise ProtocolFault("the adapter child answered garbage") from problem

    async def _ready_child(self) -> _Child:
        async with self._starting:
            child = self._child
            late = child is not None and self._clock.now().boot - child.started_at > START_SECONDS
            if child is not None and not child.ready.done() and late:
                self._kill(child, "the adapter child did not become ready")
            if child is None or child.gone:
                child = self._child = await self._spawn()
        try:
            await asyncio.shield(child.ready)
        except ProtocolFault as problem:
            raise NotReachable(str(problem)) from problem
        return child

    async def _spawn(self) -> _Child:
        if self._closed:
            raise NotReachable("Watchtower is ending")
        if self._child is not None:
            await self._reap(self._child, "replaced")
        try:
            process = await asyncio.create_subprocess_exec(
                *self._program,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LINE_BYTES,
                start_new_session=True,
            )
        except OSError as problem:
            raise NotReachable(f"the adapter child cannot be started: {problem.strerror}") from problem
        child = _Child(process, self._clock.now().boot, TaskGroup(self._clock.sleep))
        child.tasks.start(f"adapter child {process.pid}", lambda: self._listen(child), restart_after=None)
        self._write(child, msgspec.json.encode(self._setup))
        return child

    def _write(self, child: _Child, line: bytes) -> None:
        """Calls are small and few: the pipe's buffer takes them; a child that reads nothing dies at a deadline."""
        if child.process.stdin is not None:
            child.process.stdin.write(line + b"\n")

    async def _listen(self, child: _Child) -> None:
        output = child.process.stdout
        decode = msgspec.json.Decoder(Result).decode
        because = "the adapter child ended"
        while output is not None:
            try:
                line = await output.readline()
                if not line:
                    break
                result = decode(line)
            except (ValueError, msgspec.MsgspecError):  # readline: a line beyond the limit
                because = "the adapter child answered garbage"
                break
            if result.id == READY:
                if not child.ready.done():
                    child.ready.set_result(None)
                continue
            answer = child.owed.pop(result.id, None)
            if answer is None or answer.done():
                continue  # nobody waits any more
            if result.trouble:
                answer.set_exception(ProtocolFault(f"the adapter failed: {result.trouble}"[:300]))
            else:
                answer.set_result(result.value)
        self._kill(child, because)
        await child.process.wait()

    def _kill(self, child: _Child | None, because: str) -> None:
        if child is not None and not child.gone:
            self.kills += 1
            log.warning("adapter child gone", pid=child.process.pid, because=because)
            child.give_up(because)

    async def _reap(self, child: _Child, because: str) -> None:
        child.give_up(because)
        if child.process.stdin is not None:
            child.process.stdin.close()
        await child.process.wait()
        await child.tasks.stop()
