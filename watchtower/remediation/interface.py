"""What the machine hears (events) and what it wants done (effects).

``decide(state, event, now) → (state', effects)`` is the whole interface between the pure machine and the runner.
The runner commits every ``Record`` and ``Tell`` of one step in one transaction, then performs the other effects in
order, and feeds what comes back in as new events.
"""

from __future__ import annotations

from typing import Any

import msgspec

from watchtower.remediation.state import HeldLease
from watchtower.vocabulary.actions import Answer, Plan, Reply, Verb
from watchtower.vocabulary.facts import Bypassed, CanaryEnded, CanaryRound, CheckpointSeen, EngineSeen
from watchtower.vocabulary.incidents import Notice
from watchtower.vocabulary.readings import RuleVerdict

# ── events ──────────────────────────────────────────────────────────────────────────────────────


class Started(msgspec.Struct, frozen=True, tag="started"):
    """Watchtower itself (re)started on this state. The first event of every run."""

    storage_fault: str = ""
    """Why the journal cannot be trusted or written; "" when it can. Latched: observe only."""


class Evidence(msgspec.Struct, frozen=True, tag="evidence", kw_only=True):
    """One evaluation of all rules: the machine's tick."""

    verdicts: tuple[RuleVerdict, ...]
    window_clean_since: float | None = None
    """CLOCK_BOOTTIME: readings use nothing older than this (set by an incarnation change or a loop lag)."""
    lease: HeldLease | None = HeldLease()
    """The right to act, as of now; None: another Watchtower has it."""


class EngineObserved(msgspec.Struct, frozen=True, tag="seen"):
    """The adapter looked."""

    fact: EngineSeen


class Approved(msgspec.Struct, frozen=True, tag="approved"):
    """A person approved exactly what ``digest`` names, and nothing else."""

    op_id: str
    digest: str
    by: str


class Denied(msgspec.Struct, frozen=True, tag="denied"):
    op_id: str
    by: str
    reason: str


class Reserved(msgspec.Struct, frozen=True, tag="reserved"):
    """What the fleet said. Silence and doubt come as not granted."""

    op_id: str
    granted: bool
    because: str = ""


class Drained(msgspec.Struct, frozen=True, tag="drained"):
    """Every relay worker holds, and either nothing is open any more or the drain deadline passed."""

    op_id: str
    left_open: int


class EvidenceCollected(msgspec.Struct, frozen=True, tag="evidence_collected"):
    """All there is to be had of the evidence, or less; ``bundle`` is "" when there is nothing."""

    op_id: str
    bundle: str = ""
    because: str = ""


class ExecuteReplied(msgspec.Struct, frozen=True, tag="replied"):
    op_id: str
    reply: Reply


class StatusAnswered(msgspec.Struct, frozen=True, tag="answered"):
    op_id: str
    answer: Answer


class Fenced(msgspec.Struct, frozen=True, tag="fenced"):
    token: int
    confirmed: bool


class Canaried(msgspec.Struct, frozen=True, tag="canaried"):
    fact: CanaryEnded


class Rounded(msgspec.Struct, frozen=True, tag="rounded"):
    """All references were asked once."""

    fact: CanaryRound


class ReadBack(msgspec.Struct, frozen=True, tag="read_back"):
    """The weights in memory were read back, or could not be. ``fact.at`` is when it was asked for."""

    fact: CheckpointSeen


class Commanded(msgspec.Struct, frozen=True, tag="commanded", kw_only=True):
    """A person spoke. ``verb``: pause · resume · ack_resume · ack_resolve · breaker_reset · bless · unbless, and the
    orders start · restart · stop."""

    verb: str
    author: str
    reason: str = ""
    seconds: float = 0.0


class BypassSeen(msgspec.Struct, frozen=True, tag="bypass_seen"):
    """What the relay's bypass file says by now; None: there is none. It was obeyed already."""

    bypassed: Bypassed | None


class StorageFailed(msgspec.Struct, frozen=True, tag="storage_failed"):
    because: str


Event = (
    Started
    | Evidence
    | EngineObserved
    | Approved
    | Denied
    | Reserved
    | Drained
    | EvidenceCollected
    | ExecuteReplied
    | StatusAnswered
    | Fenced
    | Canaried
    | Rounded
    | ReadBack
    | Commanded
    | BypassSeen
    | StorageFailed
)

# ── effects ─────────────────────────────────────────────────────────────────────────────────────


class Record(msgspec.Struct, frozen=True, tag="record"):
    """To be durable before any later effect of the same step. ``kind`` is dotted: ``incident.open``."""

    kind: str
    body: dict[str, Any]


class Tell(msgspec.Struct, frozen=True, tag="tell"):
    """Into the outbox, in the same transaction as the records of this step."""

    notice: Notice


class Reserve(msgspec.Struct, frozen=True, tag="reserve"):
    """Ask the fleet's store for a place under this lease; answer with ``Reserved``. The same op_id twice is one."""

    op_id: str
    verb: Verb
    lease_token: int


class Settle(msgspec.Struct, frozen=True, tag="settle"):
    """The action is over: whatever the fleet's store holds for this op_id is spent, or given back. No answer."""

    op_id: str
    spent: bool


class Collect(msgspec.Struct, frozen=True, tag="collect"):
    """Save what the action will destroy; answer with ``EvidenceCollected``. Touches nothing."""

    op_id: str


class HoldTraffic(msgspec.Struct, frozen=True, tag="hold"):
    """Hold traffic; answer with ``Drained``. ``drain=False`` (a hang): do not wait for open exchanges."""

    op_id: str
    drain: bool


class ReleaseTraffic(msgspec.Struct, frozen=True, tag="release"):
    op_id: str


class Dispatch(msgspec.Struct, frozen=True, tag="dispatch"):
    """Call ``execute(plan)``; answer with ``ExecuteReplied``."""

    plan: Plan


class AskStatus(msgspec.Struct, frozen=True, tag="ask_status"):
    """Call ``status(op_id)``; answer with ``StatusAnswered``."""

    op_id: str


class RaiseFence(msgspec.Struct, frozen=True, tag="raise_fence"):
    """Call ``fence(token)``; answer with ``Fenced``."""

    token: int


class StopEngine(msgspec.Struct, frozen=True, tag="stop_engine"):
    """A person wants the engine ended and not started again. No answer: the next look shows it. Asked again after a
    restart of Watchtower while the same incarnation still runs."""

    author: str
    reason: str


class SendCanary(msgspec.Struct, frozen=True, tag="send_canary"):
    """Send a one-token canary now (token-bucketed by the runner); answer with ``Canaried``."""

    why: str


class ReadWeights(msgspec.Struct, frozen=True, tag="read_weights"):
    """Read back which weights are in memory; answer with ``ReadBack``."""

    why: str


Effect = (
    Record
    | Tell
    | Reserve
    | Settle
    | HoldTraffic
    | ReleaseTraffic
    | Collect
    | Dispatch
    | AskStatus
    | RaiseFence
    | StopEngine
    | SendCanary
    | ReadWeights
)


class Participants(msgspec.Struct, frozen=True, kw_only=True):
    """Who has a say in an action besides gates and adapter. Where nobody has, its state is passed at once."""

    approver: bool = False
    """``Approved`` and ``Denied`` can come."""
    fleet: bool = False
    """``Reserve`` is answered by a store that all Watchtowers of a fleet share."""
    collector: bool = False
    """``Collect`` is answered by a collector of evidence."""


NOBODY = Participants()
