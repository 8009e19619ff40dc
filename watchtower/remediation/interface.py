"""What the machine hears (events) and what it wants done (effects).

``decide(state, event, now) → (state', effects)`` is the whole interface between the pure machine and the runner.
The runner commits every ``Record`` and ``Tell`` of one step in one transaction, then performs the other effects in
order, and feeds what comes back in as new events.
"""

from __future__ import annotations

from typing import Any

import msgspec

from watchtower.vocabulary.actions import Answer, Plan, Reply
from watchtower.vocabulary.facts import CanaryEnded, CanaryRound, CheckpointSeen, EngineSeen
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
    lease_held: bool = True


class EngineObserved(msgspec.Struct, frozen=True, tag="seen"):
    """The adapter looked."""

    fact: EngineSeen


class Drained(msgspec.Struct, frozen=True, tag="drained"):
    """Every relay worker holds, and either nothing is open any more or the drain deadline passed."""

    op_id: str
    left_open: int


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
    """A person spoke. ``verb``: pause · resume · ack_resume · ack_resolve · breaker_reset · bless · unbless."""

    verb: str
    author: str
    reason: str = ""
    seconds: float = 0.0


class StorageFailed(msgspec.Struct, frozen=True, tag="storage_failed"):
    because: str


Event = (
    Started
    | Evidence
    | EngineObserved
    | Drained
    | ExecuteReplied
    | StatusAnswered
    | Fenced
    | Canaried
    | Rounded
    | ReadBack
    | Commanded
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


class SendCanary(msgspec.Struct, frozen=True, tag="send_canary"):
    """Send a one-token canary now (token-bucketed by the runner); answer with ``Canaried``."""

    why: str


class ReadWeights(msgspec.Struct, frozen=True, tag="read_weights"):
    """Read back which weights are in memory; answer with ``ReadBack``."""

    why: str


Effect = Record | Tell | HoldTraffic | ReleaseTraffic | Dispatch | AskStatus | RaiseFence | SendCanary | ReadWeights
