"""What the keeper does when asked, and what it refuses: the class "durable deduplication" of the safety model.

The same op_id is executed at most once and answered the same way for ever, over crashes of the keeper. Every refusal
comes before any effect and is itself durable; every effect comes after its BEGUN is durable. An operation that a crash
interrupted is settled by looking: a new engine stands in the ledger → done; the old one still lives → unclear, a
person looks; the old one is gone and nothing was started → the start it owed is made up for, if still in time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread

from watchtower.adapters.keeper.crashing import crash_point
from watchtower.adapters.keeper.engine_tree import CannotEnd, CannotStart, EngineTree
from watchtower.clock import boot_id, boottime
from watchtower.ports import OperationLedger
from watchtower.vocabulary.actions import Answer, Plan, Reply, ReplyKind, Verb
from watchtower.vocabulary.errors import StorageFault
from watchtower.vocabulary.operations import FenceRaised, Operation, OpState

MENU = (Verb.RESTART_GROUP, Verb.RESTART_HOST)
"""For a bare process tree both are the same: there is no host around it but the tree."""

OTHER_ENVIRONMENT = (
    "a restart would run it in another environment; to have that one, end the keeper by SIGTERM "
    "(watchtower doctor names its pid) and start Watchtower again"
)


class Flight:
    """The one effect under way."""

    def __init__(self, op_id: str) -> None:
        self.op_id = op_id
        self.landed = Event()


class Restarts:
    """Everything that has an effect, one at a time."""

    def __init__(self, ledger: OperationLedger, engine: EngineTree, say: Callable[[str], None]) -> None:
        self._ledger = ledger
        self._engine = engine
        self._say = say
        self._lock = Lock()
        self._flight: Flight | None = None

    def execute(self, plan: Plan) -> Reply:
        """Restart the engine; returns when the new process is started. Blocks up to the keeper's ``term_seconds``
        plus what the kernel takes; a second call with the same op_id waits for the first."""
        with self._lock:
            known = self._ledger.operations.get(plan.op_id)
            flight = self._flight
            if known is None:
                if because := self._refusal(plan):
                    return self._refuse(plan.op_id, because)
                try:
                    begun = self._note(Operation.begun(plan, at=boottime(), boot_id=boot_id()))
                except StorageFault as fault:
                    return Reply(ReplyKind.REJECTED, f"nothing was done: {fault}"[:300])
                mine = self._flight = Flight(plan.op_id)
        if known is None:
            self._perform(begun, mine)
        elif flight is not None and flight.op_id == plan.op_id:
            flight.landed.wait()
        return self._reply(plan.op_id)

    def status(self, op_id: str) -> Answer:
        """NOT_DONE is made true before it is said: an op_id never seen is refused, durably, from now on."""
        with self._lock:
            if self._flight is not None and self._flight.op_id == op_id:
                return Answer.PENDING
            known = self._ledger.operations.get(op_id)
            if known is None:
                try:
                    known = self._note(self._operation(op_id, OpState.REFUSED, "it was asked about before it arrived"))
                except StorageFault:
                    return Answer.CANNOT_TELL
        match known.state:
            case OpState.DONE:
                return Answer.DONE
            case OpState.REFUSED:
                return Answer.NOT_DONE
            case _:
                return Answer.CANNOT_TELL

    def fence(self, token: int) -> str:
        """Refuse lower tokens from now on, durably. Returns why that could not be confirmed; empty: confirmed."""
        with self._lock:
            if token > self._ledger.fence:
                try:
                    self._ledger.append(FenceRaised(token=token))
                except StorageFault as fault:
                    return str(fault)[:300]
        return ""

    def start(self, again: bool) -> str:
        """First start, or (``again``) a person's. Returns why not; empty: an engine runs."""
        with self._lock:
            if self._engine.incarnation() is not None:
                return ""
            if self._flight is not None:
                return f"operation {self._flight.op_id} is under way"
            if because := self._not_a_first_start(again) or self._engine.cannot_start():
                return because
            flight = self._flight = Flight("start")
        try:
            self._engine.end("what an earlier engine left behind was ended")
            self._engine.start("", "started on request" if again else "first start")
        except (CannotEnd, CannotStart, StorageFault) as problem:
            return str(problem)[:300]
        finally:
            self._land(flight)
        return ""

    def stop(self) -> str:
        """End the engine because a person wants it ended. Waits for an operation under way."""
        while True:
            with self._lock:
                if self._flight is None:
                    flight = self._flight = Flight("stop")
                    break
                other = self._flight
            other.landed.wait()
        try:
            self._engine.end("ended on request")
        except (CannotEnd, StorageFault) as problem:
            return str(problem)[:300]
        finally:
            self._land(flight)
        return ""

    def recover(self) -> None:
        """Settle what a crash interrupted. Called once, before anybody can ask."""
        for operation in list(self._ledger.operations.values()):
            if operation.state is OpState.BEGUN:
                self._settle_interrupted(operation)

    def _settle_interrupted(self, operation: Operation) -> None:
        last = self._engine.engine
        if last is not None and last.op_id == operation.op_id:
            self._note(self._operation(operation.op_id, OpState.DONE, "completed; the keeper died before saying so"))
        elif operation.expected is None:
            self._unclear(operation, "the keeper died after accepting a first start, and none is on record")
        elif self._engine.incarnation() == operation.expected:
            self._unclear(operation, "the keeper died after accepting it; the old engine still runs")
        elif other := self._engine.other_environment():
            self._unclear(operation, f"the keeper died half-way: the old engine is gone, {OTHER_ENVIRONMENT} · {other}")
        elif self._refused_by_now(operation):
            self._unclear(operation, "the keeper died half-way: the old engine is gone, a new one was not started")
        else:
            self._say(f"operation {operation.op_id}: the old engine is gone, starting the new one it was promised")
            self._flight = Flight(operation.op_id)
            Thread(target=self._perform, args=(operation, self._flight), name="make up", daemon=True).start()

    def _perform(self, operation: Operation, flight: Flight) -> None:
        op_id = operation.op_id
        try:
            crash_point("begun")
            self._engine.end(f"ended for operation {op_id}")
            crash_point("ended")
            incarnation = self._engine.start(op_id, operation.reason)
            self._note(self._operation(op_id, OpState.DONE, f"engine {incarnation} was started"))
            crash_point("done")
        except (CannotEnd, CannotStart, StorageFault) as problem:
            self._unclear(operation, str(problem)[:300])
        except Exception as problem:
            self._unclear(operation, type(problem).__name__)
            raise
        finally:
            self._land(flight)

    def _refusal(self, plan: Plan) -> str:
        """The first reason against it, before any effect."""
        if plan.verb not in MENU:
            return f"this keeper knows no {plan.verb}"
        if self._flight is not None:
            return f"operation {self._flight.op_id} is under way"
        if plan.fence_token < self._ledger.fence:
            return f"its fence token {plan.fence_token} is lower than {self._ledger.fence}"
        if boottime() > plan.not_after:
            return "it came after its time (not_after)"
        engine = self._engine.engine
        # an engine that died is replaced under its own name: nothing else ran since
        current = engine.incarnation if engine is not None else None
        if current != plan.expected_incarnation:
            return f"it was meant for engine {plan.expected_incarnation}, but {current or 'none'} is here"
        if other := self._engine.other_environment():
            return f"{OTHER_ENVIRONMENT} · {other}"
        return self._engine.cannot_start()

    def _refused_by_now(self, begun: Operation) -> bool:
        """Whether it would come too late today. Another boot's not_after means nothing: too late."""
        return begun.boot_id != boot_id() or boottime() > begun.not_after or begun.fence_token < self._ledger.fence

    def _not_a_first_start(self, again: bool) -> str:
        engine, exited = self._engine.engine, self._engine.exited
        if (
            again
            or engine is None
            or engine.incarnation.boot_id != boot_id()
            or (exited is not None and exited.ordered)
        ):
            return ""
        return f"the engine is down ({self._engine.because()}); starting it again is a decision, not a first start"

    def _refuse(self, op_id: str, because: str) -> Reply:
        # a refusal that cannot be written is still one: nothing was done
        with suppress(StorageFault):
            self._note(self._operation(op_id, OpState.REFUSED, because))
        return Reply(ReplyKind.REJECTED, because)

    def _reply(self, op_id: str) -> Reply:
        known = self._ledger.operations[op_id]
        kind = {OpState.DONE: ReplyKind.ACKED, OpState.REFUSED: ReplyKind.REJECTED}.get(known.state, ReplyKind.UNKNOWN)
        return Reply(kind, known.because or "how it ended could not be written down")

    def _land(self, flight: Flight) -> None:
        with self._lock:
            self._flight = None
        flight.landed.set()

    def _unclear(self, operation: Operation, because: str) -> None:
        self._say(f"operation {operation.op_id} is unclear: {because}")
        with suppress(StorageFault):  # BEGUN without an end reads the same: cannot tell
            self._note(self._operation(operation.op_id, OpState.UNCLEAR, because))

    def _note(self, operation: Operation) -> Operation:
        self._ledger.append(operation)
        return operation

    def _operation(self, op_id: str, state: OpState, because: str) -> Operation:
        return Operation(op_id=op_id, state=state, because=because, at=boottime(), boot_id=boot_id())
