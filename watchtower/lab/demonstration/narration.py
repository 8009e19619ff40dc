"""From two looks at the API to the sentences that an audience wants to read. Pure.

Four words stand before them, one for each step of the product's own sentence: *sees*, *decides*, *does*, *verifies*
(and *tells*, for notices that arrived). Only changes are told, of mere hints only that they fire.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Json = dict[str, Any]


class JournalEntry(NamedTuple):
    """One journal entry of the newest incident."""

    seq: int
    """Its place in the journal: counts up by one over all incidents."""
    kind: str
    at: float
    """CLOCK_BOOTTIME seconds."""
    sentence: str


class Look(NamedTuple):
    """Everything the API said at one moment."""

    status: Json
    incidents: list[Json]
    """Newest first."""
    actions: list[Json]
    """Newest first."""
    journal: list[JournalEntry]
    """Of the newest incident, oldest first."""


class ScreenLine(NamedTuple):
    who: str
    """sees, decides, does, verifies, tells, demo"""
    text: str


def changes(before: Look | None, after: Look) -> list[ScreenLine]:
    """What is new in ``after``; everything is new when there is no ``before``."""
    return [
        *_rules(before, after),
        *_incidents(before, after),
        *_relay(before, after),
        *_actions(before, after),
        *_engine(before, after),
        *_checkpoint(before, after),
    ]


def _rules(before: Look | None, after: Look) -> list[ScreenLine]:
    before_by_name = (
        {rule["rule"]: (rule["verdict"], rule["firing"]) for rule in before.status["rules"]} if before else {}
    )
    lines = []
    for rule in after.status["rules"]:
        was_verdict, was_firing = before_by_name.get(rule["rule"], ("unknown", False))
        if rule["firing"] and not was_firing:
            lines.append(ScreenLine("sees", f"{rule['rule']} FIRES: {rule['sentence']}"))
        elif rule["verdict"] != was_verdict and rule["severity"] != "info":
            text = f"{rule['rule']} {rule['verdict'].upper()}"
            lines.append(ScreenLine("sees", f"{text}: {rule['sentence']}" if rule["sentence"] else text))
    return lines


def _incidents(before: Look | None, after: Look) -> list[ScreenLine]:
    before_by_name = _newest(before.incidents) if before else {}
    lines = []
    for incident in reversed(_newest(after.incidents).values()):
        was = before_by_name.get(incident["id"], {"state": "", "held": []})
        if incident["state"] != was["state"]:
            again = f" (recurrence {incident['recurrences']})" if incident["recurrences"] else ""
            lines.append(ScreenLine("decides", f"incident {incident['state'].upper()}{again}: {incident['title']}"))
        known = {held["gate"] for held in was["held"]}
        lines += [
            ScreenLine("decides", f"held by {held['gate']}: {held['because']}")
            for held in incident["held"]
            if held["gate"] not in known
        ]
    return lines


def _newest(incidents: list[Json]) -> dict[str, Json]:
    """By id, newest first. One that comes back is listed twice: as it is, and as it was closed."""
    found: dict[str, Json] = {}
    for incident in incidents:
        found.setdefault(incident["id"], incident)
    return found


def _actions(before: Look | None, after: Look) -> list[ScreenLine]:
    before_by_name = {action["op_id"]: action["state"] for action in before.actions} if before else {}
    last = before.journal[-1].seq if before and before.journal else 0
    lines = [
        ScreenLine("does", f"nothing; it would have: {entry.sentence}")
        for entry in after.journal
        if entry.kind == "action.would_act" and entry.seq > last
    ]
    for action in reversed(after.actions):
        if before_by_name.get(action["op_id"]) == action["state"]:
            continue
        name = f"{action['verb']} (attempt {action['attempt']})"
        match action["state"]:
            case "effective":
                lines.append(ScreenLine("verifies", f"{name} was EFFECTIVE"))
                lines += [ScreenLine("verifies", sentence) for sentence in action["verified_by"]]
            case "verifying":
                lines.append(ScreenLine("verifies", f"whether {name} helped"))
            case _:
                because = f": {action['because']}" if action["because"] else ""
                lines.append(ScreenLine("does", f"{name} {action['state'].upper()}{because}"))
    return lines


def _relay(before: Look | None, after: Look) -> list[ScreenLine]:
    was, now = (before.status["relay"]["hold"] if before else "open"), after.status["relay"]["hold"]
    if was == now:
        return []
    text = "the relay holds new requests" if now == "holding" else "the relay lets requests pass again"
    return [ScreenLine("does", text)]


def _engine(before: Look | None, after: Look) -> list[ScreenLine]:
    was = before.status["engine"]["incarnation"] if before else None
    now = after.status["engine"]["incarnation"]
    if now is None or now == was:
        return []
    return [ScreenLine("sees", f"the engine is process {now['id']}, started {now['started']}")]


def _checkpoint(before: Look | None, after: Look) -> list[ScreenLine]:
    was, now = (before.status.get("checkpoint", {}) if before else {}), after.status.get("checkpoint", {})
    if not now.get("observed") or (was.get("state"), was.get("observed")) == (now["state"], now["observed"]):
        return []
    why = f": {now['blessed']['reason']}" if now["state"] == "blessed" else ", which nobody has blessed"
    return [ScreenLine("sees", f"the weights in memory read {now['observed'][:12]}, {now['state']}{why}")]
