"""All that remediation remembers about one target, as one frozen value that fits into one journal row.

Every duration is a difference of CLOCK_BOOTTIME marks. Marks of another boot mean nothing: ``rebased`` carries them
over as if the host had not been off for one second. That is the latest instant at which each thing can have happened,
so no budget is ever forgotten early and no wall clock, however wrong, can shorten one; a cooldown that was running
starts again in full.

Choice: the action in flight is the last row of ``actions`` and nothing else, so there cannot be two of them.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import msgspec

from watchtower.remediation.checkpoint_registry import Checkpoints
from watchtower.remediation.terms import Terms
from watchtower.vocabulary.actions import TERMINAL_ACTIONS, ActionState, Incarnation, Verb
from watchtower.vocabulary.facts import Bypassed
from watchtower.vocabulary.incidents import IncidentState, Refusal
from watchtower.vocabulary.instants import Instant

SCHEMA = 2
"""Of a stored snapshot; what older ones looked like, ``snapshots`` knows."""
KEPT = 50
"""How many closed incidents, and how many actions, people can look back at."""
HOUR, DAY = 3600.0, 86400.0
MEMORY_SECONDS = DAY
"""Actions younger than this are kept however many there are: budgets and the breaker count them."""


class EngineView(msgspec.Struct, frozen=True, kw_only=True):
    """The engine as the adapter last saw it."""

    marks: ClassVar[tuple[str, ...]] = ("changed_at", "looked_at")

    incarnation: Incarnation | None = None
    """The last one that was identified; kept while nothing (or something unknown) runs."""
    known: bool = False
    running: bool = False
    serving: bool = False
    because: str = "nobody has looked yet"
    """Why it is not known, or how it ended."""
    changed_at: float | None = None
    """When this incarnation replaced another one before our eyes; None: it was there when we came."""
    looked_at: float | None = None


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A person said stop. Always with an author, a reason and an end."""

    marks: ClassVar[tuple[str, ...]] = ("since", "until")

    author: str
    reason: str
    since: float
    until: float
    until_wall: float


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """Open after too many cures that did not work; only a person closes it."""

    marks: ClassVar[tuple[str, ...]] = ("opened_at", "reset_at")

    because: str = ""
    """Non-empty: open."""
    opened_at: float | None = None
    reset_at: float | None = None
    """Failures before this no longer count."""


class HeldLease(msgspec.Struct, frozen=True, kw_only=True):
    """The right to act on this target, as whoever grants it said."""

    marks: ClassVar[tuple[str, ...]] = ("until_boot",)

    token: int = 0
    """Higher with every new holder; 0: a lock of this machine, which nobody else can take meanwhile."""
    until_boot: float | None = None
    """Nothing is begun or sent after this; None: as long as this process lives."""

    def good_at(self, now: float) -> bool:
        return self.until_boot is None or now < self.until_boot


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """A person had the engine stopped. Holds until a person starts it, or somebody else visibly did."""

    marks: ClassVar[tuple[str, ...]] = ("since",)

    author: str
    reason: str
    since: float
    incarnation: Incarnation | None = None
    """Who was stopped."""
    asked: bool = False
    """This run of Watchtower has asked for it to be ended."""


class ByRule(msgspec.Struct, frozen=True, tag="rule"):
    """The rule that asked for it."""

    name: str


class ByPerson(msgspec.Struct, frozen=True, tag="person"):
    """A person's order: not charged to any budget, and no part of an incident."""

    name: str
    reason: str


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """What a person is asked to approve, and until when."""

    marks: ClassVar[tuple[str, ...]] = ("until",)

    digest: str
    """Of exactly what is to be done; an approval of anything else is none."""
    until: float
    until_wall: float
    by: str = ""
    """Who approved it."""


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a cure, from the reserved budget to the verdict."""

    marks: ClassVar[tuple[str, ...]] = (
        "started_at",
        "entered_at",
        "dispatched_at",
        "after_seen_at",
        "read_back_at",
        "settling_from",
        "ended_at",
        "not_after",
    )

    op_id: str
    incident: str
    """"" for a person's order."""
    origin: ByRule | ByPerson
    symptoms: tuple[str, ...]
    """Rules that fired when it was decided; all must read OK again."""
    verb: Verb
    attempt: int
    """1 for the first of its rung."""
    state: ActionState
    reason: str
    drain: bool
    before: Incarnation | None
    """Whom it is done to; None: no engine ever ran, and a person orders the first start."""
    dead: bool = False
    """``before`` was proven dead when it was decided: nothing is ended, one is started in its place."""
    fence_token: int
    lease_token: int = 0
    """Of the lease under which it was decided."""
    not_after: float
    terms: Terms
    approval: Approval | None = None
    fleet_asked: bool = False
    """The fleet may hold a reservation for this op_id: it is settled when the action ends."""
    bundle: str = ""
    """Id of the evidence that was saved before it; "" when there is none."""
    charged: bool
    """Counts against the budget. Taken back only when it is proven that nothing happened."""
    started_at: float
    started_wall: float
    entered_at: float
    """When the present state began; its deadline is counted from here."""
    dispatched_at: float | None = None
    after: Incarnation | None = None
    after_seen_at: float | None = None
    canary_seconds: float | None = None
    """How long the first canary took that the new incarnation served."""
    settling_from: float | None = None
    """Traffic flows again (or Watchtower restarted) since then: stabilization is counted from here."""
    checkpoint: str = ""
    """Path of the blessed weights: what a rollback loads, and what the restart that compensates it starts with."""
    digest: str = ""
    """What the weights must read back afterwards; "" where nothing about weights has to be proven."""
    digest_before: str = ""
    compensates: str = ""
    """op_id of the rollback that this restart makes up for."""
    read_back_at: float | None = None
    """When the weights were asked for that read back as ``digest``."""
    fence_confirmed: bool = False
    ask_again: bool = False
    """The last answer of ``status`` settled nothing."""
    breaches: int = 0
    """Evaluations in a row, after stabilization, in which a symptom still breached."""
    restarts: int = 0
    """How often Watchtower itself restarted while this was under way."""
    ended_at: float | None = None
    ended_wall: float | None = None
    verified_by: tuple[str, ...] = ()
    because: str = ""

    @property
    def rule(self) -> str:
        """The rule that asked for it; "" for a person's order."""
        return self.origin.name if isinstance(self.origin, ByRule) else ""

    @property
    def ordered(self) -> bool:
        """A person ordered it."""
        return isinstance(self.origin, ByPerson)

    @property
    def over(self) -> bool:
        return self.state in TERMINAL_ACTIONS


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One per target at a time; rules join it as symptoms."""

    marks: ClassVar[tuple[str, ...]] = (
        "opened_at",
        "entered_at",
        "held_since",
        "ok_since",
        "known_at",
        "closed_at",
        "attempts_from",
    )

    id: str
    state: IncidentState
    severity: str
    title: str
    rules: tuple[str, ...]
    curative: bool
    """At least one of its rules asked for an action."""
    opened_at: float
    opened_wall: float
    entered_at: float
    known_at: float
    """Last evaluation in which any of its rules could be read."""
    window_seconds: float
    """Longest window of its rules."""
    why: str = ""
    """Why it is in its present state, one sentence."""
    held: tuple[Refusal, ...] = ()
    held_since: float | None = None
    held_evaluations: int = 0
    ok_since: float | None = None
    proven: bool = False
    """While RECOVERING: all its rules were seen to be OK."""
    recurrences: int = 0
    attempts_from: float | None = None
    """Attempts before this were forgiven by a person (``ack_resume``)."""
    actions: tuple[str, ...] = ()
    notified: tuple[str, ...] = ()
    """What people heard once and need not hear again."""
    closed_at: float | None = None
    closed_wall: float | None = None


class TargetState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything. ``TargetState(target="engine")`` is a target nothing is known about."""

    marks: ClassVar[tuple[str, ...]] = ("started_at", "moment", "cooldown_from", "clean_since", "blind_since")

    target: str
    schema: int = SCHEMA
    boot_id: str = ""
    moment: float = 0.0
    """When this state was decided."""
    started_at: float | None = None
    """When this run of Watchtower began."""
    counter: int = 0
    """Counts every name that was derived, so that none is derived twice."""
    fence_token: int = 1
    storage_fault: str = ""
    mode: str = ""
    """The general mode of the run that decided this; people hear when the next run has another one."""
    pause: Pause | None = None
    breaker: Breaker = Breaker()
    engine: EngineView = EngineView()
    checkpoints: Checkpoints = Checkpoints()
    lease: HeldLease | None = HeldLease()
    """None: another Watchtower has it."""
    stopped: Stopped | None = None
    bypassed: Bypassed | None = None
    """A person had the relay bypassed, as last noticed."""
    clean_since: float | None = None
    """Readings use nothing older than this."""
    streaks: dict[str, int] = {}
    """Per rule: evaluations in a row in which it fired, all of one incarnation, none older than a resume."""
    cooldown_from: float | None = None
    cooldown_seconds: float = 0.0
    cycles: tuple[float, ...] = ()
    """Marks: each time an incident came back or was resolved."""
    blind_since: float | None = None
    blind_notified: bool = False
    incident: Incident | None = None
    recent: tuple[Incident, ...] = ()
    """Closed incidents, newest first."""
    actions: tuple[Action, ...] = ()
    """Newest last."""
    adapted: tuple[str, ...] = ()
    """What of the stored state was not understood, and how it was read instead: said at the next start."""

    def holds_lease(self, now: float) -> bool:
        """This Watchtower, and no other, may act on the target."""
        return self.lease is not None and self.lease.good_at(now)

    @property
    def action(self) -> Action | None:
        """The one in flight, if there is one."""
        return self.actions[-1] if self.actions and not self.actions[-1].over else None


_Marked = TypeVar(
    "_Marked", EngineView, Checkpoints, Pause, Breaker, Action, Approval, Incident, HeldLease, Stopped, TargetState
)


def _moved(value: _Marked, by: float) -> _Marked:
    changes: dict[str, Any] = {name: mark + by for name in value.marks if (mark := getattr(value, name)) is not None}
    return msgspec.structs.replace(value, **changes)


def _moved_action(action: Action, by: float) -> Action:
    approval = _moved(action.approval, by) if action.approval else None
    return msgspec.structs.replace(_moved(action, by), approval=approval)


def rebased(state: TargetState, now: Instant) -> TargetState:
    """``state`` with its marks on the clock of ``now``. The identity while the host has not rebooted."""
    if state.boot_id == now.boot_id:
        return state
    if not state.boot_id:
        return msgspec.structs.replace(state, boot_id=now.boot_id)
    by = -state.moment  # the old boot's last known moment becomes second 0 of the new one
    cooling = state.cooldown_from is not None and state.moment < state.cooldown_from + state.cooldown_seconds
    moved = _moved(state, by)
    return msgspec.structs.replace(
        moved,
        boot_id=now.boot_id,
        cooldown_from=now.boot if cooling else moved.cooldown_from,
        cycles=tuple(mark + by for mark in state.cycles),
        pause=_moved(state.pause, by) if state.pause else None,
        breaker=_moved(state.breaker, by),
        engine=_moved(state.engine, by),
        checkpoints=_moved(state.checkpoints, by),
        incident=_moved(state.incident, by) if state.incident else None,
        recent=tuple(_moved(incident, by) for incident in state.recent),
        actions=tuple(_moved_action(action, by) for action in state.actions),
        lease=_moved(state.lease, by) if state.lease else None,
        stopped=_moved(state.stopped, by) if state.stopped else None,
    )


def trimmed(state: TargetState, now: Instant) -> TargetState:
    """Without the actions nothing counts any more."""
    last = len(state.actions) - KEPT
    actions = tuple(
        action
        for index, action in enumerate(state.actions)
        if index >= last or now.boot - action.started_at < MEMORY_SECONDS
    )
    return msgspec.structs.replace(state, actions=actions, recent=state.recent[:KEPT])
