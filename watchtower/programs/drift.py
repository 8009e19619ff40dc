"""``watchtower drift``: how far live answers have moved and which prompts most, for somebody who looks for a cause.

It never says "alarm": what it shows is looked at again and again, and live answers are not paired.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

SHOWN = 10
"""Groups; ``--json`` has them all."""
CLEAR_P = 0.01
HINT_P = 0.1


def show_drift(console: Console, known: dict[str, Any]) -> None:
    """The sentence, the measures, then the groups of prompts that moved most."""
    if not known:
        console.print("Watchtower has only just started.")
        return
    found = known["shift"]
    console.print(f"[bold]{escape(_headline(known))}[/bold]", highlight=False)
    if found is None:
        return
    console.print(
        f"{found['now']} newest answers beside {found['then']} of when {known['references']} was captured, "
        f"{known['ratio']:.0%} of traffic, vectors by {escape(known['encoder'])}; "
        f"{found['matched']:.0%} asked what was asked then too",
        highlight=False,
    )
    facts = Table(box=None, pad_edge=False, show_header=False)
    for measure, moved in found["moved"].items():
        facts.add_row(measure, f"{moved:.1%} of the usual distance of two answers")
    console.print(facts)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("prompts that moved most", "moved", "p", "then", "now"):
        left = name.startswith("prompts")
        table.add_column(name, justify="left" if left else "right", overflow="fold" if left else "ellipsis")
    for group in found["groups"][:SHOWN]:
        named = " ".join(group["prompts"])
        table.add_row(
            escape(named), f"{group['moved']:.1%}", f"{group['p']:.3f}", str(group["then"]), str(group["now"])
        )
    console.print(table)
    console.print("[dim]for diagnosis: only canaries, which are paired, raise an alarm[/dim]")


def _headline(known: dict[str, Any]) -> str:
    found = known["shift"]
    if found is None:
        return f"output shift is unknown: {known['because']}"
    if found["p"] <= CLEAR_P:
        return f"answers to users have moved (p {found['p']:.3f})"
    if found["p"] <= HINT_P:
        return f"a hint that answers to users have moved (p {found['p']:.3f})"
    return f"no move of the answers to users is seen (p {found['p']:.2f})"
