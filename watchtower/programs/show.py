"""What ``status``, ``incidents`` and ``explain`` print: the API's JSON, arranged for a tired reader.

First the one sentence that matters, then the evidence. Colours only repeat what the words already say.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from watchtower.vocabulary.instants import iso
from watchtower.vocabulary.quantities import human
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


def coloured(word: str) -> str:
    colour = COLOURS.get(word)
    return f"[{colour}]{word}[/{colour}]" if colour else word


def show_status(console: Console, status: dict[str, Any]) -> None:
    incident = status["incident"]
    console.print(f"[bold]{escape(_headline(status))}[/bold]")
    if incident:
        for held in incident["held"]:
            console.print(f"  held by {held['gate']}: {escape(held['because'])}")
        console.print(f"  closer look: watchtower explain {incident['id']}", highlight=False)
    engine, relay = status["engine"], status["relay"]
    who = engine["incarnation"]
    identity = f"pid {who['id']} started {who['started']}" if who else escape(engine["because"] or "not running")
    console.print(
        f"engine  {identity}, serving {engine['serving']}, {escape(engine['version']) or 'version unknown'}\n"
        f"relay   {relay['workers']} worker(s) on {relay['listening']}, {relay['open']} open, "
        f"{relay['parked']} parked, {relay['hold']}\n"
        f"mode    {status['mode']}, profile {status['profile']}",
        highlight=False,
    )
    rules = Table("rule", "verdict", "what it sees", box=None, pad_edge=False, header_style="dim")
    for rule in status["rules"]:
        verdict = coloured(rule["verdict"]) + (" · firing" if rule["firing"] else "")
        rules.add_row(escape(rule["rule"]), verdict, escape(rule["sentence"]))
    console.print(rules)


def _headline(status: dict[str, Any]) -> str:
    if not status["ready"]:
        return f"{status['target']}: not ready, {status['ready_because']}"
    if status["incident"]:
        return f"{status['target']}: {status['incident']['state'].upper()} · {status['incident']['title']}"
    if status["rules"] and all(rule["verdict"] == "unknown" for rule in status["rules"]):
        return f"{status['target']}: blind, every rule is UNKNOWN"
    return f"{status['target']}: nothing is wrong"


def show_readings(console: Console, status: dict[str, Any]) -> None:
    table = Table(
        "reading", "value", "95 % band", "samples", "why unknown", box=None, pad_edge=False, header_style="dim"
    )
    for reading in status["readings"]:
        name, value = reading["name"], reading["value"]
        unit, known = READINGS[name].unit, value is not None
        band = ""
        if known and reading["low"] is not None:
            band = f"{human(reading['low'], unit)} – {human(reading['high'], unit)}"
        shown = human(value, unit) if known else coloured("unknown")
        table.add_row(name, shown, band, str(reading["samples"] or ""), escape(reading["because"]))
    console.print(table)


def show_incidents(console: Console, incidents: list[dict[str, Any]]) -> None:
    if not incidents:
        console.print("No incident so far.")
        return
    table = Table("opened", "incident", "state", "rules", "what", box=None, pad_edge=False, header_style="dim")
    for one in incidents:
        table.add_row(
            iso(one["opened_wall"]), one["id"], coloured(one["state"]), ", ".join(one["rules"]), escape(one["title"])
        )
    console.print(table)


def show_explanation(console: Console, answer: dict[str, Any]) -> None:
    incident = answer["incident"]
    console.print(f"[bold]{escape(incident['title'])}[/bold]")
    console.print(
        f"{incident['id']} · {coloured(incident['state'])} · opened {iso(incident['opened_wall'])} · "
        f"rules {', '.join(incident['rules'])} · recurred {incident['recurrences']}×",
        highlight=False,
    )
    for held in incident["held"]:
        console.print(f"  held by {held['gate']}: {escape(held['because'])}")
    for action in answer["actions"]:
        state = coloured(action["state"])
        console.print(f"\n[bold]{action['op_id']}[/bold] {action['verb']} · {state} · attempt {action['attempt']}")
        for sentence in action["verified_by"]:
            console.print(f"  verified: {escape(sentence)}")
        if action["because"]:
            console.print(f"  {escape(action['because'])}")
    console.print("\n[dim]every decision, oldest first[/dim]")
    timeline = Table(box=None, pad_edge=False, show_header=False)
    for record in answer["records"]:
        timeline.add_row(iso(record["wall"]), f"#{record['seq']}", record["kind"], escape(_sentence(record["body"])))
    console.print(timeline)


def _sentence(body: dict[str, Any]) -> str:
    for key in ("sentence", "because", "title", "reason", "text"):
        if body.get(key):
            return str(body[key])
    if body.get("refusals"):
        return "; ".join(f"{entry.get('gate')}: {entry.get('because')}" for entry in body["refusals"])
    return ", ".join(f"{key}={value}" for key, value in body.items() if isinstance(value, str | int | float))[:160]
