"""``watchtower journal``: verified, or set aside by a person."""

from __future__ import annotations

from typing import Annotated

import typer

from watchtower.cli.options import ConfigOption, JsonOption, StateOption, example, state_directory

commands = typer.Typer(help="What the daemon remembers, on disk.", no_args_is_help=True)


@commands.command("verify", epilog=example("watchtower journal verify --state-dir /var/lib/watchtower"))
def journal_verify(config: ConfigOption = None, state_dir: StateOption = None, json_: JsonOption = False) -> None:
    """Check every entry, the state and what is still to be sent. Changes nothing. Exit 1 when something is damaged."""
    from watchtower.programs.journal import verify

    raise typer.Exit(verify(state_directory(config, state_dir), as_json=json_))


@commands.command("set-aside", epilog=example("watchtower journal set-aside --state-dir /var/lib/watchtower --yes"))
def journal_set_aside(
    config: ConfigOption = None,
    state_dir: StateOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="I have looked: go on without this journal.")] = False,
    json_: JsonOption = False,
) -> None:
    """Move a damaged journal away, so that the daemon can act again. Budgets, attempts and open intents are forgotten.

    The files are kept, in a directory named after the moment. Refused while a daemon runs."""
    from watchtower.programs.journal import set_aside

    raise typer.Exit(set_aside(state_directory(config, state_dir), yes=yes, as_json=json_))
