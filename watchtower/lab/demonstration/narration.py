"""From two looks at the API to the sentences that an audience wants to read. Pure.

Four words stand before them, one for each step of the product's own sentence: *sees*, *decides*, *does*, *verifies*
(and *tells*, for notices that arrived). Only changes are told, of mere hints only that they fire.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Json = dict[str, Any]


class Entry(NamedTuple):
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
    journal: list[Entry]
    """Of the newest incident, oldest first."""


class Line(NamedTuple):
    who: str
    """sees, decides, does, verifies, tells, demo"""
    text: str


def changes(before: Look | None, after: Look) -> list[Line]:
    """What is new in ``after``; everything is new when there is no ``before``."""
    return [
        *_rules(before, after),
        *_incidents(before, after),
        *_relay(before, after),
        *_actions(before, after),
        *_engine(before, after),
        *_checkpoint(before, after),
    ]


def _rules(before: Look | None, after: Look) -> list[Line]:
    told = {rule["rule"]: (rule["verdict"], rule["firing"]) for rule in before.status["rules"]} if before else {}
    lines = []
    for rule in after.status["rules"]:
        was_verdict, was_firing = told.get(rule["rule"], ("unknown", False))
        if rule["firing"] and not was_firing:
            lines.append(Line("sees", f"{rule['rule']} FIRES: {rule['sentence']}"))
        elif rule["verdict"] != was_verdict and rule["severity"] != "info":
            text = f"{rule['rule']} {rule['verdict'].upper()}"
            lines.append(Line("sees", f"{text}: {rule['sentence']}" if rule["sentence"] else text))
    return lines


def _incidents(before: Look | None, after: Look) -> list[Line]:
    told = _newest(before.incidents) if before else {}
    lines = []
    for one in reversed(_newest(after.incidents).values()):
        was = told.get(one["id"], {"state": "", "held": []})
        if one["state"] != was["state"]:
            again = f" (recurrence {one['recurrences']})" if one["recurrences"] else ""
            lines.append(Line("decides", f"incident {one['state'].upper()}{again}: {one['title']}"))
        known = {held["gate"] for held in was["held"]}
        lines += [
            Line("decides", f"held by {held['gate']}: {held['because']}")
            for held in one["held"]
            if held["gate"] not in known
        ]
    return lines


def _newest(incidents: list[Json]) -> dict[str, Json]:
    """By id, newest first. One that comes back is listed twice: as it is, and as it was closed."""
    found: dict[str, Json] = {}
    for one in incidents:
        found.setdefault(one["id"], one)
    return found


def _actions(before: Look | None, after: Look) -> list[Line]:
    told = {one["op_id"]: one["state"] for one in before.actions} if before else {}
    last = before.journal[-1].seq if before and before.journal else 0
    lines = [
        Line("does", f"nothing; it would have: {entry.sentence}")
        for entry in after.journal
        if entry.kind == "action.would_act" and entry.seq > last
    ]
    for one in reversed(after.actions):
        if told.get(one["op_id"]) == one["state"]:
            continue
        name = f"{one['verb']} (attempt {one['attempt']})"
        match one["state"]:
            case "effective":
                lines.append(Line("verifies", f"{name} was EFFECTIVE"))
                lines += [Line("verifies", sentence) for sentence in one["verified_by"]]
            case "verifying":
                lines.append(Line("verifies", f"whether {name} helped"))
            case _:
                because = f": {one['because']}" if one["because"] else ""
                lines.append(Line("does", f"{name} {one['state'].upper()}{because}"))
    return lines


def _relay(before: Look | None, after: Look) -> list[Line]:
    was, now = (before.status["relay"]["hold"] if before else "open"), after.status["relay"]["hold"]
    if was == now:
        return []
    text = "the relay holds new requests" if now == "holding" else "the relay lets requests pass again"
    return [Line("does", text)]


def _engine(before: Look | None, after: Look) -> list[Line]:
    was = before.status["engine"]["incarnation"] if before else None
    now = after.status["engine"]["incarnation"]
    if now is None or now == was:
        return []
    return [Line("sees", f"the engine is process {now['id']}, started {now['started']}")]


def _checkpoint(before: Look | None, after: Look) -> list[Line]:
    was, now = (before.status.get("checkpoint", {}) if before else {}), after.status.get("checkpoint", {})
    if not now.get("observed") or (was.get("state"), was.get("observed")) == (now["state"], now["observed"]):
        return []
    why = f": {now['blessed']['reason']}" if now["state"] == "blessed" else ", which nobody has blessed"
    return [Line("sees", f"the weights in memory read {now['observed'][:12]}, {now['state']}{why}")]
