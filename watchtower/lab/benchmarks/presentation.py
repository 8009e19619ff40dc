"""How every bench shows what it measured: budgets as a table, the machine above it, progress on standard error."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from watchtower.lab.benchmarks.budgets import Budget
from watchtower.lab.benchmarks.host import Machine
from watchtower.vocabulary.errors import ExitCode

_PLAIN_WIDTH = 132
"""Of a console that is no terminal."""


def progress(line: str) -> None:
    Console(stderr=True, highlight=False).print(f"[dim]{line}[/]")


def exit_code(budgets: list[Budget]) -> int:
    """1 when a budget was missed; what could not be compared is no failure."""
    return ExitCode.PROBLEM_FOUND if any(budget.met is False for budget in budgets) else ExitCode.OK


def show_budgets(console: Console, budgets: list[Budget]) -> None:
    table = Table("budget", "limit", "measured", "", title="Budgets", title_justify="left", box=None)
    for budget in budgets:
        verdict = {True: "[green]met[/]", False: "[red]MISSED[/]", None: f"[yellow]unknown[/]: {budget.because}"}
        measured = "–" if budget.measured is None else _number(budget.measured, budget.unit)
        table.add_row(
            budget.what,
            f"{'≥' if budget.at_least else '≤'} {budget.limit:g} {budget.unit}",
            measured,
            verdict[budget.met],
        )
    console.print(table)


def _number(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"


def plain_console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PLAIN_WIDTH
    return console


def show_machine(console: Console, machine: Machine) -> None:
    console.print(f"{machine.cores} cores · {machine.model} · Linux {machine.kernel}")
    console.print(" · ".join(f"{name} {said}" for name, said in machine.versions.items()))
    load = " ".join(f"{load:.2f}" for load in machine.load_average)
    warning = " [yellow]others were at work: read delays with care[/]" if machine.busy else ""
    console.print(f"load average at the start: {load}{warning}")
