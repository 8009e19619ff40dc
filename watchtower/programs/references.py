"""``watchtower references``: makes, shows and moves reference sets through a running daemon.

The daemon asks, calibrates and stores; this only shows. A capture goes on when this process ends: it is the daemon's.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import yaml
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from watchtower.clock import sleep_blocking
from watchtower.programs.client import DaemonClient
from watchtower.vocabulary.errors import BadInput, ExitCode, Problem
from watchtower.vocabulary.quantities import short

PATH = "/api/v1/references"
POLL_SECONDS = 0.5
BARS = 20
"""Width of the picture."""


def capture(daemon: DaemonClient, repeats: int, *, meant: bool, as_json: bool) -> int:
    """Begin a capture and wait for its end. Raises Refused, NotReachable."""
    asked = {"repeats": str(repeats)} if repeats else {}
    if meant:
        asked["meant"] = "true"
    daemon.post(f"{PATH}/capture" + (f"?{urlencode(asked)}" if asked else ""))
    now = _wait(daemon, quiet=as_json)
    if as_json:
        print(json.dumps(now, indent=2))
    elif now["state"] == "done":
        console = Console()
        _show(console, daemon.get(f"{PATH}/show"))
        console.print(f"\n[green]blessed[/green] {now['id']} · it cost the engine {now['tokens']:,} tokens")
        for what, because in (("log-probabilities", "logprobs_because"), ("similarity", "similarity_because")):
            if now[because]:
                console.print(f"without {what}: {escape(now[because])}", highlight=False)
    else:
        print(f"watchtower: nothing was blessed: {now['because']}", file=sys.stderr)
    return ExitCode.OK if now["state"] == "done" else ExitCode.REFUSED


def _wait(daemon: DaemonClient, *, quiet: bool) -> dict[str, Any]:
    console = Console(stderr=True, quiet=quiet)
    columns = (TextColumn("asking the engine"), BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("capture", total=1)
        while True:
            now: dict[str, Any] = daemon.get(PATH)["capture"]
            progress.update(task, completed=now["done"], total=max(1, now["total"]))
            if now["state"] != "running":
                return now
            sleep_blocking(POLL_SECONDS)


def show_list(daemon: DaemonClient, *, as_json: bool) -> int:
    """Raises NotReachable, Refused."""
    answer = daemon.get(PATH)
    if as_json:
        print(json.dumps(answer, indent=2))
    else:
        _print_list(Console(), answer)
    return ExitCode.OK if answer["in_force"] else ExitCode.PROBLEM_FOUND


def _print_list(console: Console, answer: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("set", "captured (UTC)", "questions", "repeats", "log-probs", "encoder", ""):
        table.add_column(name, no_wrap=name in ("set", "captured (UTC)"), overflow="fold")
    for stored in answer["sets"]:
        state = "in force" if stored["id"] == answer["in_force"] else "retired" if stored["retired"] else "another key"
        day = datetime.fromtimestamp(stored["captured_wall"], UTC).strftime("%m-%d %H:%M")
        numbers = (str(stored["size"]), str(stored["repeats"]), str(stored["with_logprobs"]))
        table.add_row(stored["id"], day, *numbers, stored["encoder"] or "none", state)
    if answer["sets"]:
        console.print(table)
    if answer["because"]:
        console.print(escape(answer["because"]), highlight=False)


def show_set(daemon: DaemonClient, id: str, *, as_json: bool) -> int:
    """Raises NotReachable, Refused."""
    answer = daemon.get(f"{PATH}/show?id={quote(id)}")
    if as_json:
        print(json.dumps(answer, indent=2))
    else:
        _show(Console(), answer)
    return ExitCode.OK


def _show(console: Console, answer: dict[str, Any]) -> None:
    key = answer["key"]
    console.print(
        f"[bold]{answer['id']}[/bold] · model {escape(key['model'] or 'not declared')} · "
        f"checkpoint {escape(key['checkpoint'] or 'not declared')} · {key['template']} · {key['sampling']} · "
        f"each asked {answer['repeats']} times · encoder {escape(answer['encoder'] or 'none')}",
        highlight=False,
    )
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("question", "tokens", "same first 16 words", "", "similarity", "noise (nats)"):
        table.add_column(name, justify="right" if name in ("tokens", "noise (nats)") else "left")
    for reference in answer["references"]:
        agreed = reference["agreement"]["mean"]
        noise = "-" if reference["noise_nats"] is None else short(reference["noise_nats"], 2)
        similar = (
            "-"
            if reference["similarity"] is None
            else f"{reference['similarity']['mean']:.3f} ± {reference['similarity']['sd']:.3f}"
        )
        table.add_row(reference["id"], str(reference["tokens"]), _bar(agreed), f"{agreed:.0%}", similar, noise)
    console.print(table)


def _bar(ratio: float) -> str:
    filled = round(BARS * max(0.0, min(1.0, ratio)))
    return "█" * filled + "░" * (BARS - filled)


def retire(daemon: DaemonClient, id: str, *, as_json: bool) -> int:
    """Raises NotReachable, Refused."""
    answer = daemon.post(f"{PATH}/retire?id={quote(id)}")
    print(json.dumps(answer, indent=2) if as_json else f"retired {answer['id']}")
    return ExitCode.OK


def export(daemon: DaemonClient, id: str, output: Path | None) -> int:
    """Raises NotReachable, Refused, BadInput."""
    _write(json.dumps(daemon.get(f"{PATH}/export?id={quote(id)}")), output)
    return ExitCode.OK


def pick(daemon: DaemonClient, count: int, output: Path | None) -> int:
    """Write a file of questions for ``references.prompts``. Raises NotReachable, Refused, BadInput."""
    answer = daemon.get(f"{PATH}/pick?count={count}")
    prompts = [{"id": f"live-{number:03}", "text": text} for number, text in enumerate(answer["prompts"], start=1)]
    head = f"# {len(prompts)} of {answer['of']} kept questions of users. Read them before they become references.\n"
    document = {"version": 1, "name": "picked from live traffic", "prompts": prompts}
    _write(head + yaml.safe_dump(document, allow_unicode=True, sort_keys=False), output)
    return ExitCode.OK


def _write(document: str, output: Path | None) -> None:
    """To the file (0600) or standard output."""
    if output is None:
        print(document)
        return
    try:
        with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(document)
    except OSError as problem:
        raise BadInput([Problem("--output", "", f"{output}: {problem.strerror}", "name another file")]) from problem


def import_set(daemon: DaemonClient, file: Path, *, as_json: bool) -> int:
    """Raises NotReachable, Refused, BadInput."""
    try:
        document = file.read_bytes()
    except OSError as problem:
        cure = "name a file that 'watchtower references export' wrote"
        raise BadInput([Problem(str(file), "", problem.strerror or "cannot be read", cure)]) from problem
    answer = daemon.post(f"{PATH}/import", document or b" ")
    print(json.dumps(answer, indent=2) if as_json else f"blessed {answer['id']}: {answer['size']} references")
    return ExitCode.OK
