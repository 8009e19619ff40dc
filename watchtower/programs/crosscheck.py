"""``watchtower bench crosscheck``: our figures beside those of the tools that people trust, on the same work.

Exit 1 when a figure differs by more than the promise, or a count at all. A figure that is unknown is said, with why.
"""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from watchtower.clock import SystemClock
from watchtower.lab.benchmarks.crosscheck.differences import CountRow, FigureRow, budgets, counts, rows
from watchtower.lab.benchmarks.crosscheck.legs import Crosscheck, CrosscheckPlan, crosscheck
from watchtower.lab.benchmarks.presentation import exit_code, plain_console, progress, show_budgets, show_machine


def compare_with_tools(plan: CrosscheckPlan, *, as_json: bool) -> int:
    """Run it and show it. Raises NotReachable and NoVllm when a tool, the engine or the product does not start."""
    found = asyncio.run(crosscheck(plan, SystemClock(), progress))
    if as_json:
        print(json.dumps(to_json(found), indent=2))
    else:
        show(plain_console(), found)
    return exit_code(budgets(found.legs))


def show(console: Console, found: Crosscheck) -> None:
    """Every figure, then every count, what there is to know, and the promises."""
    show_machine(console, found.machine)
    _show_rows(console, rows(found.legs), found.plan)
    _show_counts(console, counts(found.legs))
    _show_notes(console, found)
    show_budgets(console, budgets(found.legs))


def to_json(found: Crosscheck) -> dict[str, Any]:
    """Everything that was measured, and what was made of it. The bound of a histogram's last bucket is null."""
    return {
        **_finite(msgspec.to_builtins(found)),
        "rows": [
            {**_finite(msgspec.to_builtins(row)), "difference_percent": row.difference_percent}
            for row in rows(found.legs)
        ],
        "counts": msgspec.to_builtins(counts(found.legs)),
        "budgets": [budget.as_json() for budget in budgets(found.legs)],
    }


def _finite(value: Any) -> Any:
    """JSON knows no infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _show_rows(console: Console, found: list[FigureRow], plan: CrosscheckPlan) -> None:
    table = Table(
        "tool", "route", "what", "", "tool, direct", "tool, relayed", "ours", "from", "difference", "engine",
        title=f"{plan.requests} requests, {plan.at_once} at once, {plan.prompt_tokens} tokens in, "
        f"{plan.output_tokens} out; milliseconds",
        title_justify="left",
        box=None,
    )  # fmt: skip
    before: tuple[str, str, str] = ("", "", "")
    for row in found:
        head = (row.tool, row.route, row.definition.value)
        shown = ["" if head[: place + 1] == before[: place + 1] else part for place, part in enumerate(head)]
        before = head
        difference = row.difference_percent
        table.add_row(
            *shown,
            row.statistic,
            _milliseconds(row.theirs_direct),
            _milliseconds(row.theirs),
            _milliseconds(row.ours),
            row.door,
            "–" if difference is None else f"{difference:+.1f} %",
            _milliseconds(row.engine),
        )
    console.print(table)


def _milliseconds(value: float | tuple[float, float] | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, tuple):
        low, high = value
        return f"over {low * 1e3:g}" if math.isinf(high) else f"{low * 1e3:g} to {high * 1e3:g}"
    return f"{value * 1e3:.2f}"


def _show_counts(console: Console, found: list[CountRow]) -> None:
    table = Table("tool", "route", "count", "tool", "ours", "engine", title="Counts", title_justify="left", box=None)
    for number in found:
        what = number.what.replace("_", " ")
        table.add_row(number.tool, number.route, what, f"{number.theirs:,}", f"{number.ours:,}", f"{number.engine:,}")
    console.print(table)


def _show_notes(console: Console, found: Crosscheck) -> None:
    for leg in found.legs:
        for door, ours in leg.ours.items():
            for note in ours.notes:
                console.print(f"{leg.tool}, {leg.route}, our {door}: {note}")
