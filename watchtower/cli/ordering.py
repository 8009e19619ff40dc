"""Commands by which a person decides: each with a reason that the next on-call engineer reads."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from watchtower.cli.options import (
    ConfigOption,
    JsonOption,
    ReasonOption,
    StateOption,
    as_json,
    client,
    example,
    state_directory,
)
from watchtower.vocabulary.errors import Refused

commands = typer.Typer()


def author() -> str:
    """Who orders, as the journal names them."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def _command(
    verb: str,
    reason: str,
    config: Path | None,
    state_dir: Path | None,
    seconds: float = 0,
    *,
    json_: bool = False,
) -> None:
    answer = client(config, state_dir).command(verb, author=author(), reason=reason, seconds=seconds)
    as_json(answer) if json_ else print(f"{verb.replace('_', ' ')}: done")


@commands.command(epilog=example("watchtower pause --reason 'deploying' --minutes 30"))
def pause(
    reason: ReasonOption,
    minutes: Annotated[float, typer.Option(min=0.1, max=24 * 60, help="Ends by itself after this long.")] = 60,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """No new actions for a while; watching, verifying and alerting go on."""
    _command("pause", reason, config, state_dir, minutes * 60)


@commands.command(epilog=example("watchtower resume"))
def resume(config: ConfigOption = None, state_dir: StateOption = None, reason: ReasonOption = "") -> None:
    """End a pause. Evidence starts from zero."""
    _command("resume", reason, config, state_dir)


@commands.command(epilog=example("watchtower ack inc-1f3a9c --resolve --reason 'node replaced'"))
def ack(
    reason: ReasonOption,
    incident: Annotated[str, typer.Argument(help="Incident id, as the alert names it; default: the open one.")] = "",
    resolve: Annotated[bool, typer.Option("--resolve/--resume", help="It is over / go on trying.")] = True,
    config: ConfigOption = None,
    state_dir: StateOption = None,
) -> None:
    """Release an ESCALATED incident: only a person can."""
    if incident:
        answer = client(config, state_dir).get("/api/v1/status")["incident"]
        if answer is None or answer["id"] != incident:
            now = f"the open incident is {answer['id']}" if answer else "no incident is open"
            raise Refused(f"{incident} is not open any more; {now}")
    _command("ack_resolve" if resolve else "ack_resume", reason, config, state_dir)


@commands.command(epilog=example("watchtower breaker-reset --reason 'bad image fixed'"))
def breaker_reset(reason: ReasonOption, config: ConfigOption = None, state_dir: StateOption = None) -> None:
    """Close the breaker after too many failed cures. Nothing from before is acted on."""
    _command("breaker_reset", reason, config, state_dir)


@commands.command(epilog=example("watchtower bypass --reason 'is it us?'   ·   watchtower bypass --off"))
def bypass(
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; needed to begin, not to end.")] = "",
    off: Annotated[bool, typer.Option("--off", help="Read and judge the traffic again.")] = False,
    config: ConfigOption = None,
    state_dir: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """The relay only forwards: nothing is read or held, the guard stays. For the night in which we are suspected.

    Cuts no stream, works while the daemon is dead or hangs, and stays until --off. Readings of the traffic are unknown
    meanwhile, and nothing is cured on their account. By hand: touch the file "bypass" in the state directory, or rm it.
    """
    from watchtower.clock import SystemClock
    from watchtower.programs.bypass import order_bypass, sentence

    if not off and not reason:
        raise typer.BadParameter("the next on-call engineer needs to know why", param_hint="--reason")
    directory, wall = state_directory(config, state_dir), SystemClock().now().wall
    done = order_bypass(directory, on=not off, author=author(), reason=reason, wall=wall)
    as_json(done) if json_ else print(sentence(done))


checkpoints = typer.Typer(help="Weights: declared, in memory, blessed, on trial.", no_args_is_help=True)


@checkpoints.command("list", epilog=example("watchtower checkpoints list --json"))
def checkpoints_list(config: ConfigOption = None, state_dir: StateOption = None, json_: JsonOption = False) -> None:
    """Which weights are declared, which are in memory, and which a rollback would bring back."""
    from watchtower.programs.checkpoints import show_checkpoints

    answer = client(config, state_dir).get("/api/v1/checkpoints")
    as_json(answer) if json_ else show_checkpoints(Console(), answer)


@checkpoints.command("bless", epilog=example("watchtower checkpoints bless --reason 'release 14 passed its evals'"))
def checkpoints_bless(
    reason: ReasonOption, config: ConfigOption = None, state_dir: StateOption = None, json_: JsonOption = False
) -> None:
    """The weights in memory are good: a rollback brings them back."""
    _command("bless", reason, config, state_dir, json_=json_)


@checkpoints.command("unbless", epilog=example("watchtower checkpoints unbless --reason 'wrong tokenizer'"))
def checkpoints_unbless(
    reason: ReasonOption, config: ConfigOption = None, state_dir: StateOption = None, json_: JsonOption = False
) -> None:
    """Withdraw the blessing: no rollback until something else is blessed, which these weights alone never are."""
    _command("unbless", reason, config, state_dir, json_=json_)
