"""Words of doing: verbs, modes, incarnations, plans, and the four answers of an adapter."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Verb(StrEnum):
    """The fixed menu. No shell, nothing else."""

    RELOAD_IN_PLACE = "reload_in_place"
    RESTART_GROUP = "restart_group"
    RESTART_HOST = "restart_host"
    ROLLBACK = "rollback"

    @property
    def loads_weights(self) -> bool:
        """Carried out by the engine itself, on the running process; every other verb is the supervisor's."""
        return self is Verb.ROLLBACK


class Cure(StrEnum):
    """What a rule may ask for in ``then:``."""

    NOTHING = "nothing"
    """Tell people, touch nothing."""
    WARM_RESTART = "warm_restart"
    """The ladder reload_in_place → restart_group → restart_host, as far as the adapter can."""
    ROLLBACK = "rollback"
    CANARY_NOW = "canary_now"
    """A directive, not an action: send a canary at once. Never an incident."""

    @property
    def acts(self) -> bool:
        """It asks for an action on the engine."""
        return self not in (Cure.NOTHING, Cure.CANARY_NOW)


class Mode(StrEnum):
    """Per rule × verb: who decides."""

    OBSERVE = "observe"
    """Decide, record "would have", never call the adapter."""
    APPROVE = "approve"
    """Ask a person."""
    AUTO = "auto"


class Incarnation(msgspec.Struct, frozen=True):
    """What changes when the engine really restarted. Equality is identity."""

    id: str
    """Container id, or ``pid``; never the pod UID."""
    started: str
    """Start time in the kernel's own units (clock ticks since boot), or the container's start stamp."""
    boot_id: str

    def __str__(self) -> str:
        return f"{self.id}@{self.started}"


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an adapter can do and promise. A claim that the contract suite does not confirm is a defect."""

    verbs: tuple[Verb, ...] = ()
    idempotent_durable: bool = False
    """Class A: the same op_id is executed at most once, even over restarts of whatever executes it."""
    fence: bool = False
    cas_incarnation: bool = False
    """``execute`` is refused, before any effect, when the incarnation is not the expected one."""
    cancel: bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly what is to be done. Its digest is what a person approves."""

    op_id: str
    verb: Verb
    incident: str
    rule: str
    expected_incarnation: Incarnation | None
    """Whom it is meant for. None (a person's first start): it is carried out only where no engine ever ran."""
    attempt: int
    reason: str
    """One sentence, stamped where a person will look (environment of the new incarnation, engine log)."""
    not_after: float
    """CLOCK_BOOTTIME seconds: never started later than this."""
    fence_token: int
    checkpoint: str = ""
    """rollback: the path of the weights to load; "" for every other verb."""
    digest: str = ""
    """rollback: what the weights in memory must read afterwards (``CheckpointSeen.observed``)."""


class ReplyKind(StrEnum):
    """Answer of ``execute``. The default for anything unclear is UNKNOWN."""

    ACKED = "acked"
    REJECTED = "rejected"
    """An explicit "refused before any effect"."""
    FAILED = "failed"
    """Carried out, and it did not do what it was to do: what is there now is neither the old nor the wanted state."""
    UNKNOWN = "unknown"
    """Timeout, reset, child killed, 5xx, malformed reply, unknown exception."""


class Reply(msgspec.Struct, frozen=True):
    kind: ReplyKind
    because: str = ""
    """Redacted, at most 300 characters."""


class Answer(StrEnum):
    """Answer of ``status(op_id)``."""

    DONE = "done"
    PENDING = "pending"
    NOT_DONE = "not_done"
    """A promise: it did not and will not happen."""
    CANNOT_TELL = "cannot_tell"


class ActionState(StrEnum):
    """Where one action stands. Written durably before the thing it names. Up to RESERVED nothing is intended yet; a
    state in which nobody else has a say is passed within one step."""

    WOULD_ACT = "would_act"
    PLANNED = "planned"
    """Permitted by every gate, or ordered by a person."""
    AWAITING_APPROVAL = "awaiting_approval"
    """A person is asked. With nobody who could be asked it is never entered."""
    RESERVING = "reserving"
    """Budget charged here; the fleet is asked for its part."""
    RESERVED = "reserved"
    """Budget charged, and nobody else may use it."""
    INTENT = "intent"
    """Durable before anything is touched, the hold of traffic included."""
    HOLDING = "holding"
    """New requests wait, open ones finish."""
    COLLECTING = "collecting"
    """What a restart would destroy is saved; at its deadline the cure goes on without."""
    DISPATCHED = "dispatched"
    ACKED = "acked"
    VERIFYING = "verifying"
    RECONCILE = "reconcile"
    """After a crash or an unknown reply: fence, then look."""
    # terminal
    EFFECTIVE = "effective"
    INEFFECTIVE = "ineffective"
    INCONCLUSIVE = "inconclusive"
    HARMFUL = "harmful"
    REJECTED = "rejected"
    NOT_EXECUTED = "not_executed"
    CANCELLED = "cancelled"
    AMBIGUOUS = "ambiguous"


BEFORE_INTENT = frozenset(
    {ActionState.PLANNED, ActionState.AWAITING_APPROVAL, ActionState.RESERVING, ActionState.RESERVED}
)
"""Nothing outside knows of it: given up without a trace."""
BEFORE_SENDING = BEFORE_INTENT | {ActionState.INTENT, ActionState.HOLDING, ActionState.COLLECTING}
"""Nothing was sent to the engine's supervisor."""

TERMINAL_ACTIONS = frozenset(
    {
        ActionState.WOULD_ACT,
        ActionState.EFFECTIVE,
        ActionState.INEFFECTIVE,
        ActionState.INCONCLUSIVE,
        ActionState.HARMFUL,
        ActionState.REJECTED,
        ActionState.NOT_EXECUTED,
        ActionState.CANCELLED,
        ActionState.AMBIGUOUS,
    }
)
