"""Rollbacks through the running engine, each at most once: the same durable deduplication that restarts have.

A reload leaves the process as it is, so the keeper cannot be the one who remembers it: this ledger does, beside the
adapter child that carries it out. BEGUN is on disk before the engine is touched. One that a crash interrupted is
settled by looking: the wanted weights are in memory → done; anything else → cannot tell, a person looks.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Lock

from watchtower.clock import boot_id, boottime
from watchtower.ports import OperationLedger, Weights
from watchtower.vocabulary.actions import Answer, Incarnation, Plan, Reply, ReplyKind
from watchtower.vocabulary.errors import StorageFault
from watchtower.vocabulary.operations import FenceRaised, Operation, OpState


class Reloads:
    """``execute`` by one thread; ``status`` and ``fence`` by others."""

    def __init__(
        self, weights: Weights, open_ledger: Callable[[], OperationLedger], current: Callable[[], Incarnation | None]
    ) -> None:
        """``open_ledger`` is called once, when first needed; it may raise StorageFault. ``current``: who runs now."""
        self._weights = weights
        self._open = open_ledger
        self._current = current
        self._opened: OperationLedger | None = None
        self._lock = Lock()
        self._flying = ""

    def execute(self, plan: Plan, seconds: float) -> Reply:
        """Load the plan's checkpoint; blocks until it is in memory, or about ``seconds`` have passed."""
        with self._lock:
            try:
                ledger = self._ledger()
                if (known := ledger.operations.get(plan.op_id)) is not None:
                    return _again(known)
                if because := self._refusal(plan, ledger):
                    ledger.append(_operation(plan.op_id, OpState.REFUSED, because, plan.digest))
                    return Reply(ReplyKind.REJECTED, because[:300])
                ledger.append(Operation.begun(plan, at=boottime(), boot_id=boot_id()))
            except StorageFault as fault:
                return Reply(ReplyKind.REJECTED, f"nothing was done: {fault}"[:300])
            self._flying = plan.op_id
        try:
            reply = self._weights.load(plan.checkpoint, plan.digest, seconds)
            with suppress(StorageFault):  # BEGUN without an end reads the same: it is settled by looking
                ledger.append(_operation(plan.op_id, _ENDS[reply.kind], reply.because, plan.digest))
        finally:
            self._flying = ""
        return reply

    def status(self, op_id: str) -> Answer | None:
        """None: no reload of that name was begun here, and from now on none will be."""
        with self._lock:
            try:
                ledger = self._ledger()
                known = ledger.operations.get(op_id)
                if known is None:
                    ledger.append(_operation(op_id, OpState.REFUSED, "it was asked about before it arrived", ""))
            except StorageFault:
                return Answer.CANNOT_TELL
            if known is None or not known.digest:
                return None
            if self._flying == op_id:
                return Answer.PENDING
        match known.state:
            case OpState.DONE:
                return Answer.DONE
            case OpState.REFUSED:
                return Answer.NOT_DONE
            case _:
                return self._settled_by_looking(known.digest)

    def fence(self, token: int) -> bool:
        """Refuse lower tokens from now on, durably."""
        with self._lock:
            try:
                ledger = self._ledger()
                if token > ledger.fence:
                    ledger.append(FenceRaised(token=token))
            except StorageFault:
                return False
        return True

    def _settled_by_looking(self, wanted: str) -> Answer:
        """Whoever carried it out was killed, or lost sight of it. A pause of its may still be in force."""
        found = self._weights.checkpoint(boottime()).observed
        if found:
            self._weights.resume()
        return Answer.DONE if found == wanted else Answer.CANNOT_TELL

    def _refusal(self, plan: Plan, ledger: OperationLedger) -> str:
        """The first reason against it, before any effect."""
        if not plan.checkpoint or not plan.digest:
            return "it names no checkpoint to load, or not what it must read"
        if plan.fence_token < ledger.fence:
            return f"its fence token {plan.fence_token} is lower than {ledger.fence}"
        if boottime() > plan.not_after:
            return "it came after its time (not_after)"
        if plan.expected_incarnation is None:
            return "it names no engine to load them into"
        current = self._current()
        if current != plan.expected_incarnation:
            return f"it was meant for engine {plan.expected_incarnation}, but {current or 'none'} is here"
        return ""

    def _ledger(self) -> OperationLedger:
        if self._opened is None:
            self._opened = self._open()
        return self._opened


_ENDS = {
    ReplyKind.ACKED: OpState.DONE,
    ReplyKind.REJECTED: OpState.REFUSED,
    ReplyKind.FAILED: OpState.UNCLEAR,
    ReplyKind.UNKNOWN: OpState.UNCLEAR,
}


def _again(known: Operation) -> Reply:
    """The same op_id a second time: the same answer, no second effect."""
    kind = {OpState.DONE: ReplyKind.ACKED, OpState.REFUSED: ReplyKind.REJECTED}.get(known.state, ReplyKind.UNKNOWN)
    return Reply(kind, known.because or "it was begun, and how it ended is not on record")


def _operation(op_id: str, state: OpState, because: str, digest: str) -> Operation:
    return Operation(op_id=op_id, state=state, at=boottime(), boot_id=boot_id(), because=because[:300], digest=digest)
