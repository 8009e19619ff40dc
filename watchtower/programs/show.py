"""What ``status``, ``incidents`` and ``explain`` print: the API's JSON, arranged for a tired reader.

First the one sentence that matters, then the evidence. Names are never cut, however narrow the terminal: they are what
people type next. Colours only repeat what the words already say.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from watchtower.vocabulary.instants import iso
from watchtower.vocabulary.quantities import human, seconds
from watchtower.vocabulary.readings import READINGS

COLOURS = {
    "ok": "green",
    "breach": "red",
    "unknown": "yellow",
    "resolved": "green",
    "recovering": "green",
    "escalated": "red",
    "effective": "green",
    "ineffective": "red",
}


MOST_ROUTES = 8
"""Of those that pass unread; ``--json`` has all."""


def coloured(word: str) -> str:
    colour = COLOURS.get(word)
    return f"[{colour}]{word}[/{colour}]" if colour else word


# ── status ──────────────────────────────────────────────────────────────────────────────────────


def show_status(console: Console, status: dict[str, Any]) -> None:
    incident, paused = status["incident"], status["paused"]
    show_headline(console, status["headline"], status["now"])
    if incident:
        _show_held(console, incident)
    if status["storage_fault"]:
        console.print(f"  [red]observing only[/red]: {escape(status['storage_fault'])}", highlight=False)
    if paused:
        why = f"paused by {paused['author']} until {_day_and_time(paused['until_wall'])}: {paused['reason']}"
        console.print(f"  {escape(why)}", highlight=False)
    facts = _columns("", "", header=False)
    if bypass := status["relay"].get("bypass"):
        console.print(f"  [red]{escape(_bypass(bypass))}[/red]", highlight=False)
    for name, text in (("engine", _engine(status["engine"])), ("relay", _relay(status["relay"]))):
        facts.add_row(name, escape(text))
    for passed in status["relay"].get("unread", [])[:MOST_ROUTES]:
        facts.add_row("unread", escape(_unread(passed)))
    if estimated := _estimated(status["readings"]):
        facts.add_row("counts", escape(estimated))
    facts.add_row("mode", f"{status['mode']}, profile {status['profile']}")
    console.print(facts)
    rules = _columns("rule", "verdict", "what it sees")
    for rule in status["rules"]:
        verdict = coloured(rule["verdict"]) + (" · firing" if rule["firing"] else "")
        sees = rule["sentence"] + (f" · action held: {rule['held']}" if rule["held"] and rule["firing"] else "")
        rules.add_row(escape(rule["rule"]), verdict, escape(sees))
    console.print(rules)


def show_headline(console: Console, headline: dict[str, Any], now: dict[str, float] | None = None) -> None:
    """The one sentence, since when, what to type next, and what else holds."""
    console.print(f"[bold]{escape(headline['sentence'])}[/bold]", highlight=False)
    since, parts = headline["since"], []
    if since is not None and now is not None:
        parts.append(f"since {_day_and_time(since + now['wall'] - now['boot'])} UTC, {seconds(now['boot'] - since)}")
    if headline["remark"]:
        parts.append(headline["remark"])
    if parts:
        console.print(f"  {escape(' · '.join(parts))}", highlight=False)
    for sentence in headline["also"]:
        console.print(f"  also: {escape(sentence)}", highlight=False)
    if headline["next_command"]:
        console.print(f"  next: {escape(headline['next_command'])}", highlight=False)


def _engine(engine: dict[str, Any]) -> str:
    who = engine["incarnation"]
    identity = f"incarnation {who['id']}@{who['started']}" if who else engine["because"] or "not running"
    serves = "serves" if engine["serving"] else "does not serve"
    return f"{serves}, version {engine['version'] or 'unknown'}; {identity}"


def _relay(relay: dict[str, Any]) -> str:
    workers = f"{relay['workers']} worker{'' if relay['workers'] == 1 else 's'}"
    hold = "holding new requests" if relay["hold"] == "holding" else "traffic flows"
    where = f" on {relay['listening']}" if relay["listening"] else ""
    refused = relay.get("strangers", 0)  # a daemon of before there was such a thing does not say
    strangers = f"; {refused} refused that are no workers of this target" if refused else ""
    return f"{workers}{where}, {hold}; {relay['open']} open, {relay['parked']} parked{strangers}"


def _estimated(readings: Iterable[dict[str, Any]]) -> str:
    """How much of what is known of token latencies rests on estimated counts; "" where the engine counts."""
    share = max((reading.get("estimated", 0.0) for reading in readings), default=0.0)
    if not share:
        return ""
    return f"{share:.0%} of the tokens are estimated; stream_options.include_usage would tell their number"


def _bypass(bypass: dict[str, Any]) -> str:
    who = f"bypassed by {bypass['author']} since {_day_and_time(bypass['since_wall'])}: {bypass['reason']}"
    obey = f"{bypass['workers']} of {bypass['of']} relay workers only forward"
    if bypass["ends"]:
        return f"{who} · {obey} and are about to end it"
    by_itself = bypass.get("by_itself", False)  # a daemon of before there was such a thing does not say
    return f"{who} · {obey}; ends with: {'a restart of the daemon' if by_itself else 'watchtower bypass --off'}"


_CAUSES = {
    "route": "no dialect reads this route",
    "form": "compressed, or of an unknown type",
    "protocol": "not HTTP/1.1",
    "bypass": "while bypassed",
    "look": "looks, no work",
}


def _unread(passed: dict[str, Any]) -> str:
    """``/pooling: 12 passed (2xx 11, 5xx 1), 800 ms each; no dialect reads this route``"""
    statuses = ", ".join(f"{level} {count}" for level, count in sorted(passed["statuses"].items()))
    cause = _CAUSES.get(passed["cause"], passed["cause"])
    return (
        f"{passed['route']}: {passed['requests']} passed ({statuses}), {seconds(passed['mean_seconds'])} each; {cause}"
    )


def show_readings(console: Console, status: dict[str, Any]) -> None:
    """What is known as a table; what is unknown once for each reason."""
    known = _columns("reading", "value", "95 % band", "samples", wrap_last=False)
    unknown: dict[str, list[str]] = {}
    remarks: dict[str, list[str]] = {}
    for reading in status["readings"]:
        name, value, unit = reading["name"], reading["value"], READINGS[reading["name"]].unit
        if value is None:
            bound = f" ({reading['detail']})" if reading["detail"] else ""
            unknown.setdefault(reading["because"], []).append(name + bound)
            continue
        if reading["because"]:
            remarks.setdefault(reading["because"], []).append(name)
        exact = reading["low"] is None
        band = "" if exact else f"{human(reading['low'], unit)} – {human(reading['high'], unit)}"
        known.add_row(name, human(value, unit), band, str(reading["samples"] or ""))
    console.print()
    if known.row_count:
        console.print(known)
    for remark, names in remarks.items():
        console.print(f"{escape(remark)}:", highlight=False)
        console.print(*(f"  {name}" for name in _folded(names)), sep="\n", highlight=False)
    for because, names in unknown.items():
        console.print(f"{coloured('unknown')}: {escape(because)}", highlight=False)
        console.print(*(f"  {name}" for name in _folded(names)), sep="\n", highlight=False)


def _folded(names: Iterable[str]) -> list[str]:
    """``a.p50``, ``a.p90``, ``b.rate`` → ``a.p50 .p90``, ``b.rate``."""
    families: dict[str, list[str]] = {}
    for name in names:
        family, dot, statistic = name.partition(".")
        families.setdefault(family, []).append(f"{dot}{statistic}")
    return [f"{family}{' '.join(statistics)}" for family, statistics in families.items()]


# ── incidents ───────────────────────────────────────────────────────────────────────────────────


def show_incidents(console: Console, incidents: list[dict[str, Any]]) -> None:
    if not incidents:
        console.print("No incident so far.")
        return
    table = _columns("opened (UTC)", "incident", "state", "what")
    for incident in incidents:
        lasted = (
            f" · lasted {seconds(incident['closed_at'] - incident['opened_at'])}"
            if incident["closed_at"] is not None
            else ""
        )
        table.add_row(
            _day_and_time(incident["opened_wall"]),
            incident["id"],
            coloured(incident["state"]),
            escape(incident["title"] + lasted),
        )
    console.print(table)


def show_explanation(console: Console, answer: dict[str, Any]) -> None:
    incident, records = answer["incident"], answer["records"]
    console.print(f"[bold]{escape(incident['title'])}[/bold]", highlight=False)
    recurred = f" · came back {incident['recurrences']}×" if incident["recurrences"] else ""
    console.print(
        f"{incident['id']} · {coloured(incident['state'])} · opened {iso(incident['opened_wall'])} · "
        f"rules {', '.join(incident['rules'])}{recurred}",
        highlight=False,
    )
    _show_held(console, incident)
    for action in answer["actions"]:
        state = coloured(action["state"])
        console.print(f"\n[bold]{action['op_id']}[/bold] {action['verb']} · {state} · attempt {action['attempt']}")
        for sentence in action["verified_by"]:
            console.print(f"  verified: {escape(sentence)}", highlight=False)
        if action["because"]:
            console.print(f"  {escape(action['because'])}", highlight=False)
    if answer["records_because"]:
        console.print(f"\nThe journal does not tell more: {escape(answer['records_because'])}", highlight=False)
        return
    console.print("\n[dim]every decision, oldest first (UTC)[/dim]")
    timeline = _columns("", "", "", header=False)
    for record in records:
        timeline.add_row(_time(record["wall"]), record["kind"], escape(_sentence(record["body"])))
    console.print(timeline)


def _show_held(console: Console, incident: dict[str, Any]) -> None:
    reasons = _columns("", "", header=False)
    for held in incident["held"]:
        reasons.add_row(f"  held by {held['gate']}:", escape(held["because"]))
    if incident["held"]:
        console.print(reasons)


def _sentence(body: dict[str, Any]) -> str:
    notice = body.get("notice")
    if isinstance(notice, dict):
        return f"to {', '.join(body.get('sinks', ()))}: {notice.get('title', '')}"
    if isinstance(notice, str):
        return f"{body.get('sink', '')}: {notice}" + (f", {body['because']}" if body.get("because") else "")
    who = f"{body['verb']}: " if body.get("verb") else ""
    for key in ("sentence", "because", "why", "note", "title", "reason", "text"):
        if body.get(key):
            return f"{who}{body[key]}"
    if gates := body.get("refusals") or body.get("gates"):
        return who + "; ".join(str(entry.get("because")) for entry in gates)
    return ", ".join(f"{key}={value}" for key, value in body.items() if isinstance(value, str | int | float))[:160]


# ── layout ──────────────────────────────────────────────────────────────────────────────────────


def _columns(*names: str, header: bool = True, wrap_last: bool = True) -> Table:
    """A table whose last column alone gives way when the terminal is narrow."""
    table = Table(box=None, pad_edge=False, header_style="dim", show_header=header)
    for index, name in enumerate(names):
        last = wrap_last and index == len(names) - 1
        table.add_column(name, no_wrap=not last, overflow="fold" if last else "ignore")
    return table


def _day_and_time(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _time(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%H:%M:%S.%f")[:12]
