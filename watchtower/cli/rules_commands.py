"""``watchtower rules``: tested, exported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from watchtower.cli.options import JsonOption, example

commands = typer.Typer(help="Rules.", no_args_is_help=True)


@commands.command("test", epilog=example("watchtower rules test rules/triad.yaml"))
def rules_test(files: list[Path], json_: JsonOption = False) -> None:
    """Run x.test.yaml beside each x.yaml through the real evaluation, on a clock moved by hand."""
    from watchtower.programs.check import rules_test as rules_test_main

    raise typer.Exit(rules_test_main(files, as_json=json_))


@commands.command("export", epilog=example("watchtower rules export --format prometheus > watchtower.rules.yaml"))
def rules_export(
    files: Annotated[list[Path] | None, typer.Argument(help="Rule files; default: the shipped triad.yaml.")] = None,
    form: Annotated[str, typer.Option("--format", help="prometheus, prometheusrule or podmonitor.")] = "prometheus",
    json_: JsonOption = False,
) -> None:
    """The equivalent recording and alerting rules for Prometheus, with its latency objective, on standard output."""
    from watchtower.programs.export import Format, render

    if form not in tuple(Format):
        raise typer.BadParameter(f"'{form}' is no format; one of: {', '.join(Format)}", param_hint="--format")
    print(render(files or [], Format(form), as_json=json_), end="")
