"""``watchtower placement``: the hardware, as the running daemon sees it, beside what the configuration expects."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from watchtower.vocabulary.errors import ExitCode

WORDS = {True: ("ok", "green"), False: ("mismatch", "red"), None: ("unknown", "yellow")}


def show(answer: dict[str, Any], *, as_json: bool = False, out: Console | None = None) -> ExitCode:
    """``answer``: the JSON of ``/api/v1/gpus``. PROBLEM_FOUND when anything differs or cannot be told."""
    out = out or Console()
    findings = answer["placement"]
    dark = bool(answer["because"]) and bool(findings)
    wrong = dark or any(finding["ok"] is not True for finding in findings)
    if as_json:
        print(json.dumps({"ok": not wrong, **answer}, indent=2), file=out.file)
    else:
        _print(out, answer, findings)
    return ExitCode.PROBLEM_FOUND if wrong else ExitCode.OK


def _print(out: Console, answer: dict[str, Any], findings: list[dict[str, Any]]) -> None:
    source = answer["source"] or "none"
    out.print(Text(f"source {source}{': ' + answer['because'] if answer['because'] else ''}"))
    if not findings:
        out.print("nothing is expected: configure placement.stages to be told of differences")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for head in ("stage", "gpu", "what", "expected", "real", ""):
        table.add_column(head, overflow="fold")
    for finding in findings:
        word, colour = WORDS[finding["ok"]]
        question = finding["question"].replace("_", " ")
        cells = (finding["stage"], finding["gpu"] or "all", question, finding["expected"], finding["real"])
        table.add_row(*map(Text, cells), Text(word, style=colour))
    for gpu in answer["gpus"] if not findings else ():
        table.add_row("", gpu["uuid"], "seen", "", gpu["name"] or "unnamed", Text(gpu["because"] or "ok"))
    out.print(table)
