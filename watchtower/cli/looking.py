"""Commands that ask the running daemon what is true."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from watchtower.cli.options import ConfigOption, JsonOption, StateOption, as_json, client, example
from watchtower.vocabulary.errors import NotReachable

commands = typer.Typer()


@commands.command(epilog=example("watchtower status --state-dir /var/lib/watchtower"))
def status(
    config: ConfigOption = None,
    state_dir: StateOption = None,
    readings: Annotated[
        bool, typer.Option("--readings", help="Every reading with its band, or why it is UNKNOWN.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """What is true right now, in one sentence first.

    Exit 0: well, idle, warming up, paused or in somebody else's hand; 1: something is wrong; 3: it cannot be told;
    4: Watchtower does not answer, or stands still."""
    from watchtower.programs.show import show_headline, show_readings, show_status
    from watchtower.vocabulary.headline import headline

    try:
        answer = client(config, state_dir).get("/api/v1/status")
    except NotReachable as problem:
        nobody = headline(None, 0.0).document() | {"because": str(problem)}
        if json_:
            as_json({"headline": nobody})
        else:
            show_headline(Console(), nobody)
            print(f"watchtower: {problem}", file=sys.stderr)
        raise typer.Exit(nobody["exit_code"]) from problem
    if json_:
        as_json(answer)
    else:
        show_status(Console(), answer)
        if readings:
            show_readings(Console(), answer)
    raise typer.Exit(answer["headline"]["exit_code"])


@commands.command(epilog=example("watchtower incidents --json"))
def incidents(config: ConfigOption = None, state_dir: StateOption = None, json_: JsonOption = False) -> None:
    """The recent incidents, newest first."""
    from watchtower.programs.show import show_incidents

    answer = client(config, state_dir).get("/api/v1/incidents")
    as_json(answer) if json_ else show_incidents(Console(), answer["incidents"])


@commands.command(epilog=example("watchtower explain inc-1f3a9c"))
def explain(
    incident: Annotated[str, typer.Argument(help="Incident id; default: the newest.")] = "",
    config: ConfigOption = None,
    state_dir: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Every decision and refusal of one incident, each in one sentence."""
    from watchtower.programs.show import show_explanation

    daemon = client(config, state_dir)
    if not incident:
        newest = daemon.get("/api/v1/incidents")["incidents"]
        if not newest:
            print("No incident so far.")
            return
        incident = newest[0]["id"]
    answer = daemon.get(f"/api/v1/incidents/{incident}")
    as_json(answer) if json_ else show_explanation(Console(), answer)


@commands.command(epilog=example("watchtower drift --json"))
def drift(config: ConfigOption = None, state_dir: StateOption = None, json_: JsonOption = False) -> None:
    """How far answers to users have moved since the references were captured, and which prompts most. Diagnosis only.

    Prompts are named by keyed hashes or by the reference they ask, never by text."""
    from watchtower.programs.drift import show_drift

    answer = client(config, state_dir).get("/api/v1/drift")
    as_json(answer) if json_ else show_drift(Console(), answer)
