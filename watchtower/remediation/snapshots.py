"""The state as bytes, written by this version and read from any earlier one.

State outlives the program that wrote it. An older snapshot is migrated, one schema after the other. Within one schema
a later release may add fields and words: unknown fields are passed over, an unknown word is read as the most careful
word there is (``adapted`` says so, and the journal repeats it at the start). Only what could make us do the wrong thing
is refused, and a snapshot of a later schema, with a sentence that says what to do.

A schema number rises when a field changes its name or its meaning. Every release's snapshots are kept with the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from watchtower.remediation.state import SCHEMA, TargetState
from watchtower.vocabulary.actions import ActionState, Verb
from watchtower.vocabulary.errors import StorageFault
from watchtower.vocabulary.incidents import HoldReason, IncidentState
from watchtower.vocabulary.readings import Severity

Json = dict[str, Any]
SET_ASIDE = "or go on without it: watchtower journal set-aside --yes"


def encode(state: TargetState) -> bytes:
    """One line of JSON."""
    return msgspec.json.encode(state)


def decode(snapshot: bytes) -> TargetState:
    """Raises StorageFault for anything that is no snapshot: a damaged memory is never an empty one."""
    unreadable = f"the stored state of remediation cannot be read: look at it, {SET_ASIDE}"
    try:
        stored = msgspec.json.decode(snapshot, type=Json)
        schema = int(stored.get("schema", 1))
        if schema > SCHEMA:
            raise StorageFault(
                f"a newer Watchtower wrote the stored state (schema {schema}; this one reads up to {SCHEMA}): "
                f"run that version again, {SET_ASIDE}"
            )
        while schema < SCHEMA:
            stored = MIGRATIONS[schema](stored)
            schema += 1
        adapted = tuple(adapt(stored))
        return msgspec.convert(stored | {"schema": SCHEMA, "adapted": adapted}, type=TargetState)
    except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, TypeError, ValueError, AttributeError) as exc:
        raise StorageFault(unreadable) from exc


# ── earlier schemas ─────────────────────────────────────────────────────────────────────────────


def from_1(stored: Json) -> Json:
    """The lease was a flag, an action's rule a field, and INTENT lasted until the traffic was held."""

    def incident(old: Json) -> Json:
        return _without(old, "told") | {"notified": old.get("told", [])}

    def action(old: Json) -> Json:
        state = ActionState.HOLDING if old["state"] == ActionState.INTENT else old["state"]
        return _without(old, "rule") | {"origin": {"type": "rule", "name": old["rule"]}, "state": state}

    current = stored.get("incident")
    return _without(stored, "lease_held", "blind_told") | {
        "lease": {} if stored.get("lease_held", True) else None,
        "blind_notified": stored.get("blind_told", False),
        "incident": incident(current) if current else None,
        "recent": [incident(closed) for closed in stored.get("recent", [])],
        "actions": [action(old) for old in stored.get("actions", [])],
    }


MIGRATIONS: dict[int, Callable[[Json], Json]] = {1: from_1}
"""From each earlier schema to the one after it."""


def _without(stored: Json, *names: str) -> Json:
    return {name: value for name, value in stored.items() if name not in names}


# ── words of a later release ────────────────────────────────────────────────────────────────────


def adapt(stored: Json) -> Iterator[str]:
    """Replace, in place, words this version does not know; say each one. Raises StorageFault where no reading of it
    would be safe."""
    if current := stored.get("incident"):
        yield from _known(current, "state", IncidentState, IncidentState.ESCALATED)
        yield from _known(current, "severity", Severity, Severity.PAGE)
        yield from _known_refusals(current)
    for closed in stored.get("recent", []):
        yield from _known(closed, "state", IncidentState, IncidentState.RESOLVED)
        yield from _known(closed, "severity", Severity, Severity.PAGE)
        yield from _known_refusals(closed)
    for action in stored.get("actions", []):
        over = action.get("ended_at") is not None
        if action["verb"] not in set(Verb) and not over:
            raise StorageFault(
                f"{action['op_id']} ({action['verb']}) is under way, and this version does not know that verb: "
                "let the version that began it end it"
            )
        yield from _known(action, "verb", Verb, Verb.RESTART_HOST)  # counts as the costliest restart
        # over: as if nobody could say; under way: fenced and asked about before anything else
        yield from _known(action, "state", ActionState, ActionState.AMBIGUOUS if over else ActionState.RECONCILE)


def _known(stored: Json, name: str, words: Any, instead: str) -> Iterator[str]:
    word = stored[name]
    if word not in set(words):
        stored[name] = instead
        yield f"{name} {word!r} is not known here; read as {instead}"


def _known_refusals(incident: Json) -> Iterator[str]:
    """A reason that is not known is left out: every gate is asked anew at the next evaluation."""
    held = incident.get("held", [])
    unknown = [refusal["gate"] for refusal in held if refusal["gate"] not in set(HoldReason)]
    incident["held"] = [refusal for refusal in held if refusal["gate"] not in unknown]
    yield from (f"hold reason {word!r} is not known here; left out" for word in unknown)
