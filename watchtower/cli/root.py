"""The root of all commands, in the order in which help lists them, and what becomes of our own errors."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from watchtower import __version__
from watchtower.cli.bench_commands import commands as bench
from watchtower.cli.checking import commands as checking
from watchtower.cli.journal_commands import commands as journal
from watchtower.cli.looking import commands as looking
from watchtower.cli.ordering import checkpoints
from watchtower.cli.ordering import commands as ordering
from watchtower.cli.references_commands import commands as references
from watchtower.cli.rules_commands import commands as rules
from watchtower.cli.running import commands as running
from watchtower.cli.sinks_commands import commands as sinks
from watchtower.vocabulary.errors import ExitCode, WatchtowerError

app = typer.Typer(
    name="watchtower",
    help="A sidecar that sees an LLM inference server degrade, says so in one sentence, and cures it safely.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for named in (running, looking, ordering, checking):
    app.add_typer(named)
for name, group in {
    "checkpoints": checkpoints,
    "references": references,
    "journal": journal,
    "rules": rules,
    "sinks": sinks,
    "bench": bench,
}.items():
    app.add_typer(group, name=name)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False) -> None:
    if version:
        print(f"watchtower {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point: our own errors become one readable message and a named exit code."""
    try:
        app(standalone_mode=True)
    except WatchtowerError as problem:
        print(f"watchtower: {problem}", file=sys.stderr)
        sys.exit(problem.exit_code)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
