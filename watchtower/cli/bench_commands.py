"""``watchtower bench``: our own budgets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watchtower.cli.options import JsonOption, example

commands = typer.Typer(help="Our own budgets, measured on this machine.")


@commands.callback(invoke_without_command=True, epilog=example("watchtower bench --json"))
def bench(context: typer.Context, json_: JsonOption = False) -> None:
    """Measure our budgets on this machine, met or missed: everything, or one of the commands below."""
    from watchtower.programs.bench import everything

    if context.invoked_subcommand is None:
        raise typer.Exit(everything(as_json=json_))


@commands.command("relay", epilog=example("watchtower bench relay --streams 64 --rate 50 --seconds 10 --rounds 5"))
def bench_relay(
    streams: Annotated[int, typer.Option(min=1, max=4000, help="Streams open at once.")] = 64,
    rate: Annotated[float, typer.Option(min=0.1, max=1000, help="Chunks a second of each.")] = 50,
    seconds: Annotated[float, typer.Option(min=0.5, max=600, help="Length of each measurement.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Times that everybody is measured, in turn.")] = 3,
    together: Annotated[
        bool, typer.Option("--together", help="Every stream's chunk at the same instant, as an engine's step.")
    ] = False,
    dialect: Annotated[str, typer.Option(help="In which streams are written, as its file is called.")] = "openai_chat",
    busy: Annotated[
        bool, typer.Option("--busy", help="Instead: first tokens beside two processes that never rest.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """The relay beside nginx and HAProxy: CPU a chunk, added latency, memory. Exit 1 when a budget was missed."""
    from watchtower.lab.benchmarks.relay_peers import LoadPlan
    from watchtower.lab.benchmarks.stream_shapes import SHAPES
    from watchtower.programs.bench import busy_host, relay

    if dialect not in SHAPES:
        raise typer.BadParameter(f"one of {', '.join(SHAPES)}", param_hint="--dialect")
    plan = LoadPlan(streams=streams, rate=rate, seconds=seconds, rounds=rounds, together=together, dialect=dialect)
    raise typer.Exit(busy_host(plan, as_json=json_) if busy else relay(plan, as_json=json_))


@commands.command("tick", epilog=example("watchtower bench tick --json"))
def bench_tick(json_: JsonOption = False) -> None:
    """The daemon's own work: one evaluation, 10,000 windows, and its share of a core at 1,000 tokens a second."""
    from watchtower.programs.bench import tick

    raise typer.Exit(tick(as_json=json_))


@commands.command("detect", epilog=example("WATCHTOWER_TEST_DATA=./data watchtower bench detect --json"))
def bench_detect(
    vectors: Annotated[
        Path | None, typer.Option(help="File that keeps the embeddings of the recorded outputs for the next run.")
    ] = None,
    json_: JsonOption = False,
) -> None:
    """The output detectors: delays and false alarms from fixed seeds, and on recorded outputs. Exit 1 on a miss.

    Embedding the recorded outputs takes minutes; a run that is broken off goes on where its file ends."""
    from watchtower.lab.benchmarks.quality import detect

    raise typer.Exit(detect(vectors, as_json=json_))


@commands.command("score", epilog=example("watchtower bench score --json"))
def bench_score(json_: JsonOption = False) -> None:
    """The scorer beside raw encode: throughput, CPU share, memory. Exit 1 when a budget was missed."""
    from watchtower.lab.benchmarks.quality import score

    raise typer.Exit(score(as_json=json_))


@commands.command("gpu", epilog=example("watchtower bench gpu --seconds 60"))
def bench_gpu(
    seconds: Annotated[float, typer.Option(min=1, max=600, help="Length of the measurement.")] = 30,
    json_: JsonOption = False,
) -> None:
    """What reading the GPUs costs: CPU time of the gpu child; without a driver on a stand-in that gcc builds."""
    from watchtower.programs.bench import gpu

    raise typer.Exit(gpu(seconds, as_json=json_))


@commands.command("crosscheck", epilog=example("watchtower bench crosscheck --tool guidellm --route chat"))
def bench_crosscheck(
    tool: Annotated[
        list[str] | None, typer.Option(help="aiperf, guidellm or 'vllm bench'; all without one. May be given again.")
    ] = None,
    route: Annotated[
        list[str] | None, typer.Option(help="chat or completions; both without one. May be given again.")
    ] = None,
    requests: Annotated[int, typer.Option(min=20, max=5000, help="Of each tool, on each route, each way.")] = 100,
    at_once: Annotated[int, typer.Option(min=1, max=64, help="Requests open at once.")] = 4,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Times that everything is measured.")] = 1,
    late_ms: Annotated[
        float, typer.Option(min=1, max=1000, help="Readings leave out what our relay saw while it was so late.")
    ] = 5,
    json_: JsonOption = False,
) -> None:
    """Our figures beside aiperf's, guidellm's and vLLM's own bench, on a real vLLM on the CPU, directly and through the
    relay. Installs each tool once, in an environment of its own. Exit 1 where we differ by more than 5 %."""
    from watchtower.lab.benchmarks.crosscheck.legs import CrosscheckPlan
    from watchtower.programs.crosscheck import compare_with_tools

    usual = CrosscheckPlan()
    tools, routes = tuple(tool or usual.tools), tuple(route or usual.routes)
    for given, known in ((tools, usual.tools), (routes, usual.routes)):
        if unknown := set(given) - set(known):
            raise typer.BadParameter(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    plan = CrosscheckPlan(
        tools=tools, routes=routes, requests=requests, at_once=at_once, rounds=rounds, relay_lag_seconds=late_ms / 1e3
    )
    raise typer.Exit(compare_with_tools(plan, as_json=json_))
