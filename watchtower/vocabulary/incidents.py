"""Words of an incident: its states, why it is held, and what people are told about it."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import msgspec


class IncidentState(StrEnum):
    """remediation §3."""

    CLEAR = "clear"
    SUSPECT = "suspect"
    OPEN = "open"
    HELD = "held"
    ACTING = "acting"
    VERIFYING = "verifying"
    RECOVERING = "recovering"
    RESOLVED = "resolved"
    ESCALATED = "escalated"
    """Latched: only a person releases it."""


class HoldReason(StrEnum):
    """The closed enumeration of refusals; each is one gate (remediation/gates.py)."""

    OBSERVE = "observe"
    APPROVAL = "approval"
    PAUSED = "paused"
    NO_CURE = "no_cure"
    """No firing rule asks for an action, or the adapter has no such verb left on the ladder."""
    EXPLAINED = "explained"
    """The rule's ``unless:`` holds (load explains the latency)."""
    DATA_UNKNOWN = "data_unknown"
    STARTUP_GRACE = "startup_grace"
    COOLDOWN = "cooldown"
    BUDGET = "budget"
    ATTEMPTS = "attempts"
    BREAKER = "breaker"
    FLAP = "flap"
    SINGLE_REPLICA = "single_replica"
    LEASE = "lease"
    STORAGE = "storage"
    """The journal is damaged or cannot be written: observe only."""
    CONFIG_INVALID = "config_invalid"
    INCARNATION = "incarnation"
    """The engine restarted since the evidence, or cannot be identified."""
    PREFLIGHT = "preflight"
    OTHER_CONTROLLER = "other_controller"
    """A person has ordered something else: the engine is stopped on purpose, or a restart of theirs is under way."""
    NO_CHECKPOINT_CHANGE = "no_checkpoint_change"
    """The blessed checkpoint is in memory: there is nothing to roll back."""


class Refusal(msgspec.Struct, frozen=True):
    """One gate's no, in one sentence with value and threshold."""

    gate: HoldReason
    because: str


class NoticeKind(StrEnum):
    """What people are told. ``type`` of the webhook event is ``incident.<kind>`` or ``watchtower.<kind>``."""

    OPENED = "opened"
    HELD = "held"
    ACTING = "acting"
    RESULT = "result"
    RECOVERING = "recovering"
    RESOLVED = "resolved"
    ESCALATED = "escalated"
    WOULD_ACT = "would_act"
    BLIND = "blind"
    STORAGE_FAULT = "storage_fault"
    MODE_CHANGED = "mode_changed"
    TEST = "test"
    """``watchtower sinks test``: nothing is wrong."""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One message for people. Sinks render it; the outbox keeps it until delivered."""

    id: str
    """Constant over retries (Standard Webhooks ``webhook-id``); contains no dot."""
    kind: NoticeKind
    target: str
    incident: str
    """Also the dedup key of everything about this incident."""
    wall: float
    severity: str
    title: str
    """At most 120 characters."""
    text: str
    """What, since when, how bad against which limit, what was done or why not. One short paragraph."""
    next_command: str
    """The literal command to approve or look closer, e.g. ``watchtower explain inc-…``."""
    state: IncidentState
    what: str = ""
    """What is wrong, with the value against its limit; without a full stop."""
    news: str = ""
    """What is new with this notice: what was done, or why not. Empty: that it began."""
    since: float = 0.0
    """Unix seconds at which the incident opened; 0: it has none."""
    details: dict[str, str] = {}
    """More for people, in a few words each: ``rules``, ``action``, ``outcome``, ``mode``, ``release`` (a command)."""


def read_notice(stored: Any) -> Notice:
    """A notice as a journal holds it. A kind or state that only a later release knows reads as an open alert: told too
    loudly, and never lost. Raises msgspec.ValidationError for what is no notice."""
    try:
        return msgspec.convert(stored, Notice)
    except msgspec.ValidationError:
        if not isinstance(stored, dict):
            raise
    kind = stored.get("kind") if stored.get("kind") in set(NoticeKind) else NoticeKind.OPENED
    state = stored.get("state") if stored.get("state") in set(IncidentState) else IncidentState.OPEN
    return msgspec.convert({**stored, "kind": kind, "state": state}, Notice)


def notices_of_every_kind() -> Iterator[Notice]:
    """One of each: what a template must be able to say, and a sink to take."""
    for kind in NoticeKind:
        yield Notice(
            id=f"ntc-{kind.value}",
            kind=kind,
            target="engine",
            incident="inc-000000",
            wall=1_767_225_900.0,
            severity="page",
            title=f"engine {kind.value}: p95 per-token latency 254 ms over 130 ms",
            text="p95 per-token latency 254 ms over 130 ms.",
            next_command="watchtower explain inc-000000",
            state=IncidentState.OPEN,
            what="p95 per-token latency 254 ms over 130 ms",
            since=1_767_225_600.0,
            details={"rules": "slow_tokens", "mode": "auto", "action": "", "outcome": ""},
        )
