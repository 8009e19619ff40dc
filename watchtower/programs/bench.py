"""``watchtower bench``: our budgets measured here and now, met or missed.

Exit 1 when a budget was missed, so that a script can tell; what could not be compared is said and is no failure.
"""

from __future__ import annotations

import asyncio
import json
from statistics import median
from typing import Any

import msgspec
from rich.table import Table

from watchtower.clock import SystemClock
from watchtower.lab.benchmarks import gpu as gpu_benchmark
from watchtower.lab.benchmarks.busy_host import BusyHost, measure_busy_host
from watchtower.lab.benchmarks.daemon import MANY_WINDOWS, DaemonCost, measure
from watchtower.lab.benchmarks.gpu import GpuCost
from watchtower.lab.benchmarks.presentation import exit_code, plain_console, progress, show_budgets, show_machine
from watchtower.lab.benchmarks.relay_peers import DIRECT, LoadPlan, RelayComparison, compare
from watchtower.vocabulary.errors import NotReachable

GPU_SECONDS = 30.0


def everything(*, as_json: bool) -> int:
    """All there is, one after the other; the output is that of each, or one JSON object with a key for each."""
    compared, cost, gpus = _compare(LoadPlan()), _measure(), _gpus_or_why(GPU_SECONDS)
    if as_json:
        parts = {"relay": _comparison_as_json(compared), "tick": _cost_as_json(cost)}
        parts["gpu"] = {"because": gpus} if isinstance(gpus, str) else _cost_as_json(gpus)
        print(json.dumps(parts, indent=2))
    else:
        _show_comparison(compared)
        _show_cost(cost)
        if isinstance(gpus, str):
            plain_console().print(f"[yellow]gpu child: not measured: {gpus}[/]")
        else:
            _show_gpus(gpus)
    return exit_code(compared.budgets + cost.budgets + ([] if isinstance(gpus, str) else gpus.budgets))


def relay(plan: LoadPlan, *, as_json: bool) -> int:
    """The relay beside nginx and HAProxy. Raises NotReachable when our own part does not start."""
    found = _compare(plan)
    if as_json:
        print(json.dumps(_comparison_as_json(found), indent=2))
    else:
        _show_comparison(found)
    return exit_code(found.budgets)


def busy_host(plan: LoadPlan, *, as_json: bool) -> int:
    """First tokens through the relay beside two busy sessions. Raises NotReachable when our own part does not start."""
    found = asyncio.run(measure_busy_host(plan, SystemClock(), progress))
    if as_json:
        document = {**msgspec.to_builtins(found), "budgets": [budget.as_json() for budget in found.budgets]}
        print(json.dumps(document, indent=2))
    else:
        _show_busy_host(found)
    return exit_code(found.budgets)


def tick(*, as_json: bool) -> int:
    """The daemon's own work."""
    cost = _measure()
    if as_json:
        print(json.dumps(_cost_as_json(cost), indent=2))
    else:
        _show_cost(cost)
    return exit_code(cost.budgets)


def gpu(seconds: float, *, as_json: bool) -> int:
    """What reading the GPUs costs. Raises NotReachable where there is neither a driver nor a C compiler."""
    cost = _measure_gpus(seconds)
    if as_json:
        print(json.dumps(_cost_as_json(cost), indent=2))
    else:
        _show_gpus(cost)
    return exit_code(cost.budgets)


def _compare(plan: LoadPlan) -> RelayComparison:
    return asyncio.run(compare(plan, SystemClock(), progress))


def _measure() -> DaemonCost:
    progress("the daemon's own work on an hour of invented traffic")
    return measure()


def _measure_gpus(seconds: float) -> GpuCost:
    progress(f"the gpu child for {seconds:g} s")
    return gpu_benchmark.measure(seconds)


def _gpus_or_why(seconds: float) -> GpuCost | str:
    try:
        return _measure_gpus(seconds)
    except NotReachable as problem:
        return str(problem)


def _show_cost(cost: DaemonCost) -> None:
    console = plain_console()
    show_machine(console, cost.machine)
    console.print(
        f"one evaluation of the shipped rules: {cost.tick_ms:.2f} ms, {cost.windows_per_tick} windows · "
        f"{cost.core_share * 100:.2f} % of a core at {cost.tokens_per_second:,} tokens/s\n"
        f"{MANY_WINDOWS:,} windows of 10 s to 1 h, {cost.many_windows_known:,} of them with a number: "
        f"{cost.many_windows_ms:.0f} ms with news for each, {cost.many_windows_again_ms:.0f} ms without a new fact"
    )
    show_budgets(console, cost.budgets)


def _show_gpus(cost: GpuCost) -> None:
    console = plain_console()
    show_machine(console, cost.machine)
    console.print(
        f"NVML: {cost.nvml}\n{cost.reports} reports in {cost.seconds:.0f} s · "
        f"{cost.resident_bytes / 1e6:.0f} MB resident"
    )
    show_budgets(console, cost.budgets)


def _cost_as_json(cost: DaemonCost | GpuCost) -> dict[str, Any]:
    return {**msgspec.to_builtins(cost), "budgets": [budget.as_json() for budget in cost.budgets]}


def _show_comparison(found: RelayComparison) -> None:
    console, plan = plain_console(), found.plan
    show_machine(console, found.machine)
    pace = "all at once" if plan.together else "spread"
    table = Table(
        "", "CPU µs/chunk", "× better peer", "p50 added", "p99 added", "× better peer", "whole streams", "RSS",
        title=f"{plan.streams} streams × {plan.rate:g}/s ({pace}), {plan.rounds} rounds of {plan.seconds:g} s, medians",
        title_justify="left",
        box=None,
    )  # fmt: skip
    for row in _rows(found):
        direct = row["name"] == DIRECT
        p50, p99 = (row["p50_us"], row["p99_us"]) if direct else (row["added_p50_us"], row["added_p99_us"])
        table.add_row(
            row["name"],
            "–" if direct else f"{row['cpu_us_per_chunk']:.1f}",
            _times(row["cpu_ratio"]),
            f"{p50:.0f} µs{' in all' if direct else ''}",
            f"{p99:.0f} µs{' in all' if direct else ''}",
            _times(row["added_p99_ratio"]),
            f"{row['whole_streams']}/{row['streams']}",
            "–" if direct else f"{row['rss_bytes'] / 1e6:.1f} MB",
        )
    console.print(table)
    for line in found.missing:
        console.print(f"[yellow]{line}[/]")
    show_budgets(console, found.budgets)


def _show_busy_host(found: BusyHost) -> None:
    console = plain_console()
    show_machine(console, found.machine)
    table = Table(
        "", "requests", "p50", "p90", "p50 added", "ran", "waited for a CPU", "in force",
        title=f"first tokens, {found.streams} streams beside", title_justify="left", box=None,
    )  # fmt: skip
    for way in found.ways:
        ours = bool(way.share)
        table.add_row(
            way.name,
            str(len(way.milliseconds)),
            f"{way.at(0.5):.2f} ms",
            f"{way.at(0.9):.2f} ms",
            f"{found.added_ms(way.name):.2f} ms" if ours else "–",
            f"{way.ran_ms:.0f} ms" if ours else "–",
            f"{way.waited_ms:.0f} ms" if ours else "–",
            way.share,
        )
    console.print(table)
    show_budgets(console, found.budgets)


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} ×"


def _rows(found: RelayComparison) -> list[dict[str, Any]]:
    rows = []
    for name in found.names:
        legs = found.of(name)
        rows.append(
            {
                "name": name,
                "cpu_us_per_chunk": median(leg.cpu_us for leg in legs),
                "cpu_ratio": None if name == DIRECT else found.ratio_cpu(name),
                "p50_us": median(leg.heard.p50_us for leg in legs),
                "p99_us": median(leg.heard.p99_us for leg in legs),
                "added_p50_us": None if name == DIRECT else found.added_us(name, "p50"),
                "added_p99_us": None if name == DIRECT else found.added_us(name, "p99"),
                "added_p99_ratio": None if name == DIRECT else found.ratio_added_p99(name),
                "whole_streams": sum(leg.heard.complete for leg in legs),
                "streams": sum(leg.streams for leg in legs),
                "rss_bytes": max(leg.rss_bytes for leg in legs),
            }
        )
    return rows


def _comparison_as_json(found: RelayComparison) -> dict[str, Any]:
    return {
        "plan": msgspec.to_builtins(found.plan),
        "machine": msgspec.to_builtins(found.machine),
        "medians": _rows(found),
        "legs": msgspec.to_builtins(found.legs),
        "missing": found.missing,
        "budgets": [budget.as_json() for budget in found.budgets],
    }
