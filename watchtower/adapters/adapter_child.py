"""The daemon's side of the adapter child: every call ends by its deadline, whatever the engine or the kernel does.

A child that misses the deadline of a look or an act is killed and replaced; what it was doing is UNKNOWN, never
"failed". Since a child owns nothing, killing it has no effect on the engine. A canary that hangs is evidence, not a
sick child: it is answered HUNG and the child lives on.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from typing import Any, TypeVar

import msgspec
import structlog

from watchtower.adapters.calls import LINE_BYTES, READY, Call, Method, Result, Setup
from watchtower.adapters.owed import Owed
from watchtower.children.child_process import ChildProcess
from watchtower.children.counts import Counts
from watchtower.children.on_demand import ENDING, OnDemand
from watchtower.children.policy.patience import Patience
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
        start_seconds: float = START_SECONDS,
        program: tuple[str, ...] = (sys.executable, "-m", "watchtower.programs.adapter"),
    ) -> None:
        """``observe_seconds`` is the deadline of observe, fence and capabilities, ``execute_seconds`` of a restart,
        ``reload_seconds`` of a rollback, ``checkpoint_seconds`` of reading weights back, which settling a rollback
        may need as well, ``start_seconds`` of a child that starts; ``program`` is the child."""
        self._setup = setup
        self._clock = clock
        self._observe_seconds = observe_seconds
        self._execute_seconds = execute_seconds
        self._reload_seconds = reload_seconds
        self._checkpoint_seconds = checkpoint_seconds
        self._patience = Patience(start_seconds=start_seconds)
        self._start_seconds = start_seconds
        self._program = program
        self._ids = itertools.count(READY + 1)
        self._owed = Owed()
        self._listening = TaskGroup(clock.sleep)
        self._children = OnDemand(self._begin)
        self._counts = Counts()

    @property
    def up(self) -> bool:
        """A child runs, became ready and owes no answer for too long."""
        child = self._children.child
        return child is not None and not child.gone and child.ready

    @property
    def kills(self) -> int:
        """Children given up at a deadline or for garbage, and those that died, since the start of the daemon."""
        return self._counts.kills

    @property
    def pid(self) -> int:
        """Of the newest child; 0 before the first one."""
        return self._children.child.pid if self._children.child else 0

    async def start(self) -> bool:
        """Start the child ahead of the first call, which else has to wait for it; whether it became ready."""
        try:
            async with asyncio.timeout(self._start_seconds):
                await self._children.ready()
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
        self._owed.fail(ENDING)
        await self._children.close()
        await self._listening.stop()

    async def _ask(
        self, method: Method, wanted: type[Value], within: float, *, kill: bool = True, **fields: Any
    ) -> Value:
        """One call. Raises ``NotReachable`` when it was not sent, ``Deadline``, or ``ProtocolFault``."""
        sent: ChildProcess | None = None
        call = Call(id=next(self._ids), method=method, **fields)
        try:
            async with asyncio.timeout(within):
                child = await self._children.ready()
                answer = self._owed.by(call.id)
                sent = child
                # calls are small and few: the pipe's buffer takes them; a child that reads nothing dies at a deadline
                child.write(msgspec.json.encode(call) + b"\n")
                value = await answer
        except TimeoutError as problem:
            if sent is None:
                raise NotReachable(f"the adapter child was not ready within {within:g} s") from problem
            self._owed.forget(call.id)
            if kill:
                self._give_up(sent, f"the adapter child was killed: no answer to {method} within {within:g} s")
            raise Deadline(f"no answer to {method} within {within:g} s") from problem
        try:
            return msgspec.json.decode(value, type=wanted)
        except msgspec.MsgspecError as problem:
            self._give_up(child, "the adapter child answered garbage")
            raise ProtocolFault("the adapter child answered garbage") from problem

    async def _begin(self) -> ChildProcess:
        await self._listening.stop()
        try:
            child = await ChildProcess.spawn(self._program, self._patience, self._counts, line_bytes=LINE_BYTES)
        except OSError as problem:
            raise NotReachable(f"the adapter child cannot be started: {problem.strerror}") from problem
        self._listening.start("adapter child", lambda: self._listen(child), restart_after=None)
        child.write(msgspec.json.encode(self._setup) + b"\n")
        return child

    async def _listen(self, child: ChildProcess) -> None:
        """Hand its answers to whoever waits for them, until it is of no use any more."""
        decode = msgspec.json.Decoder(Result).decode
        because = "the adapter child ended"
        while True:
            try:
                line = await child.heard(child.output.readline())
                if not line:
                    break
                result = decode(line)
            except TimeoutError:
                because = "the adapter child did not become ready"
                break
            except (ValueError, msgspec.MsgspecError):  # readline: a line beyond the limit
                because = "the adapter child answered garbage"
                break
            if result.id == READY:
                child.mark_ready()
            else:
                self._owed.settle(result)
        self._give_up(child, because)

    def _give_up(self, child: ChildProcess, because: str) -> None:
        if not child.gone:
            log.warning("adapter child gone", pid=child.pid, because=because)
            child.give_up(because)
            self._owed.fail(because)
