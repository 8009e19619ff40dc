"""Commands that judge: configuration, environment, placement, two sets of answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from watchtower.cli.options import ConfigOption, JsonOption, StateOption, client, example, find_config

commands = typer.Typer()


@commands.command(epilog=example("watchtower check --config watchtower.yaml --timing"))
def check(
    config: ConfigOption = None,
    timing: Annotated[
        bool, typer.Option("--timing", help="Fastest and typical time to detect, act and verify.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Read configuration and rules; print every mistake with its place and cure."""
    from watchtower.programs.check import check as check_main

    raise typer.Exit(check_main(find_config(config), os.environ, timing=timing, as_json=json_))


@commands.command(epilog=example("watchtower compare http://127.0.0.1:8000 http://127.0.0.1:8001"))
def compare(
    baseline: Annotated[
        str, typer.Argument(help='Answers of today: a file with lines of {"id": …, "output": …}, or a live http://….')
    ],
    candidate: Annotated[str, typer.Argument(help="The one to be judged, on the same prompts: the same kind.")],
    prompts: Annotated[
        Path | None, typer.Option(help="Of live engines: YAML file of the questions; default: the shipped set.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=32, help="Of live engines: requests at a time.")] = 4,
    max_tokens: Annotated[int, typer.Option(min=8, max=1024, help="Of live engines: longest answer.")] = 48,
    again: Annotated[
        Path | None, typer.Option(help="A second run of the baseline: shows differences without a direction too.")
    ] = None,
    config: ConfigOption = None,
    no_encoder: Annotated[bool, typer.Option("--no-encoder", help="Wording, length and text checks alone.")] = False,
    alpha: Annotated[
        float, typer.Option(min=1e-3, max=0.1, help="How often two runs of one model may be called different.")
    ] = 0.01,
    seed: Annotated[int, typer.Option(min=0, help="Of the test's random flips.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Write the page to this file too.")] = None,
    json_: JsonOption = False,
) -> None:
    """Same, different or too little data: two sets of answers, or two live engines. Exit 0, 1 or 3."""
    from watchtower.programs.compare import CompareOptions
    from watchtower.programs.compare import main as compare_main

    options = CompareOptions(
        baseline=baseline,
        candidate=candidate,
        prompts=prompts,
        concurrency=concurrency,
        max_tokens=max_tokens,
        again=again,
        config=config,
        no_encoder=no_encoder,
        alpha=alpha,
        seed=seed,
        html=html,
        json=json_,
    )
    raise typer.Exit(compare_main(options))


@commands.command(epilog=example("watchtower placement --json"))
def placement(config: ConfigOption = None, state_dir: StateOption = None, json_: JsonOption = False) -> None:
    """The GPUs beside what `placement` expects of them. Exit 1 when anything differs or cannot be read."""
    from watchtower.programs.placement import show as show_placement

    raise typer.Exit(show_placement(client(config, state_dir).get("/api/v1/gpus"), as_json=json_))


@commands.command(epilog=example("watchtower doctor --config watchtower.yaml"))
def doctor(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Whether everything that Watchtower needs exists and answers; each problem with its cure. Exit 1 with one."""
    from watchtower.programs.doctor import main as doctor_main

    raise typer.Exit(doctor_main(find_config(config), os.environ, as_json=json_))


@commands.command(epilog=example("watchtower schema > watchtower.schema.json"))
def schema(rules: Annotated[bool, typer.Option("--rules", help="The schema of rule files.")] = False) -> None:
    """JSON Schema of the configuration, for editors."""
    from watchtower.programs.check import schema as schema_main

    raise typer.Exit(schema_main(rules=rules))
