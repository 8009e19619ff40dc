"""``watchtower references``: made, shown, moved, retired."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watchtower.cli.options import ConfigOption, JsonOption, StateOption, client, example

commands = typer.Typer(help="Questions of our own whose blessed answers are known.", no_args_is_help=True)
SetArgument = Annotated[str, typer.Argument(help="Id of a set; default: the one in force.")]


@commands.command("capture", epilog=example("watchtower references capture --repeats 5"))
def references_capture(
    repeats: Annotated[
        int | None, typer.Option(min=3, max=20, help="How often each question is asked; default: references.repeats.")
    ] = None,
    meant: Annotated[
        bool, typer.Option("--meant", help="The answers were meant to change: an incident about them alone is no bar.")
    ] = False,
    config: ConfigOption = None,
    state_dir: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Ask the engine, which must be healthy now, every question several times and bless its answers."""
    from watchtower.programs.references import capture

    raise typer.Exit(capture(client(config, state_dir), repeats or 0, meant=meant, as_json=json_))


@commands.command("list", epilog=example("watchtower references list --json"))
def references_list(config: ConfigOption = None, state_dir: StateOption = None, json_: JsonOption = False) -> None:
    """All sets, which one is in force, and why none is. Exit 1 when none is."""
    from watchtower.programs.references import show_list

    raise typer.Exit(show_list(client(config, state_dir), as_json=json_))


@commands.command("show", epilog=example("watchtower references show"))
def references_show(
    id: SetArgument = "", config: ConfigOption = None, state_dir: StateOption = None, json_: JsonOption = False
) -> None:
    """How much the healthy answers to each question differ, as numbers and as a picture."""
    from watchtower.programs.references import show_set

    raise typer.Exit(show_set(client(config, state_dir), id, as_json=json_))


@commands.command("retire", epilog=example("watchtower references retire ref-19ab3f"))
def references_retire(
    id: Annotated[str, typer.Argument(help="Id of a set.")],
    config: ConfigOption = None,
    state_dir: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Use a set no longer; it stays stored."""
    from watchtower.programs.references import retire

    raise typer.Exit(retire(client(config, state_dir), id, as_json=json_))


@commands.command("export", epilog=example("watchtower references export --output references.json"))
def references_export(
    id: SetArgument = "",
    output: Annotated[Path | None, typer.Option(help="File to write (0600); default: standard output.")] = None,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """One set with its answers, for another server of the same model."""
    from watchtower.programs.references import export

    raise typer.Exit(export(client(config, state_dir), id, output))


@commands.command("pick", epilog=example("watchtower references pick --count 24 --output questions.yaml"))
def references_pick(
    count: Annotated[int, typer.Option(min=1, max=500, help="How many questions at most.")] = 24,
    output: Annotated[Path | None, typer.Option(help="File to write (0600); default: standard output.")] = None,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """Questions of users that cover what is asked, from kept traffic (samples.keep.text), as a file to read and then
    to name in references.prompts. Holds text of users."""
    from watchtower.programs.references import pick

    raise typer.Exit(pick(client(config, state_dir), count, output))


@commands.command("import", epilog=example("watchtower references import references.json"))
def references_import(
    file: Annotated[Path, typer.Argument(help="Written by 'watchtower references export'.")],
    config: ConfigOption = None,
    state_dir: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Bless an exported set. Refused when it was made under another key."""
    from watchtower.programs.references import import_set

    raise typer.Exit(import_set(client(config, state_dir), file, as_json=json_))
