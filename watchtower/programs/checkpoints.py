"""``watchtower checkpoints``: which weights are declared, in memory and blessed; and a person's word about them."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from watchtower.vocabulary.instants import iso

SHOWN = 12
"""Digits of a digest that people read; ``--json`` has them all."""


def show_checkpoints(console: Console, known: dict[str, Any]) -> None:
    """The one sentence that matters, then declared, observed, blessed, then the history, newest first."""
    if not known:
        console.print("Watchtower has only just started.")
        return
    console.print(f"[bold]{escape(_headline(known))}[/bold]", highlight=False)
    facts = Table(box=None, pad_edge=False, show_header=False)
    blessed = known["blessed"]
    for name, text in (
        ("declared", known["declared"] or "by nobody"),
        ("in memory", known["observed"][:SHOWN] or f"unknown: {known['because']}"),
        ("blessed", _blessed(blessed) if blessed else "nothing: no rollback is possible"),
        ("clean rounds", f"{known['clean_rounds']} in a row with these weights"),
    ):
        facts.add_row(name, escape(text))
    console.print(facts)
    for spell in known["history"]:
        line = f"  {iso(spell['wall'])}  {spell['digest'][:SHOWN]}  {spell['declared']}"
        console.print(escape(line), highlight=False, soft_wrap=True)


def _headline(known: dict[str, Any]) -> str:
    match known["state"]:
        case "blessed":
            return "the blessed checkpoint is in memory"
        case "on trial":
            return "the weights in memory are on trial: nobody has blessed them"
    return f"which weights are in memory is not known: {known['because']}"


def _blessed(blessed: dict[str, Any]) -> str:
    when = iso(blessed["wall"])
    return f"{blessed['digest'][:SHOWN]} of {blessed['declared']}, by {blessed['by']} at {when}: {blessed['reason']}"
