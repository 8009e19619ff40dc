"""``watchtower sinks``: listed, tried."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from watchtower.cli.options import ConfigOption, JsonOption, example, find_config

commands = typer.Typer(help="Where notices go.", no_args_is_help=True)


@commands.command("list", epilog=example("watchtower sinks list"))
def sinks_list(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Every configured sink, without its secrets."""
    from watchtower.programs.sinks import list_

    raise typer.Exit(list_(find_config(config), os.environ, as_json=json_))


@commands.command("test", epilog=example("watchtower sinks test slack"))
def sinks_test(
    name: Annotated[str, typer.Argument(help="One sink's name; default: every configured sink.")] = "",
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Send a clearly marked test notice, and end it where the receiver keeps alerts open. Exit 1 when one is not taken.

    It may page: tell whoever is on call."""
    from watchtower.programs.sinks import send_test

    raise typer.Exit(send_test(find_config(config), os.environ, name, as_json=json_))
