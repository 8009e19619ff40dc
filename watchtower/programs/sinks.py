"""``watchtower sinks list`` and ``sinks test``: where notices go, and whether they arrive. Needs no running daemon.

A test goes the same way as an alert, is marked as a test in its first word, and is resolved at once where the receiver
keeps alerts open. What a receiver answered is shown as a kind, never in its own words.
"""

from __future__ import annotations

import asyncio
import difflib
import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rich.console import Console
from rich.text import Text

from watchtower.clock import SystemClock
from watchtower.knobs import SinkSettings
from watchtower.ports import Clock, Sink
from watchtower.services.delivering.recipients import make_sinks
from watchtower.services.loading import load
from watchtower.settings import Settings
from watchtower.vocabulary.errors import BadInput, ExitCode, Problem
from watchtower.vocabulary.incidents import IncidentState, Notice, NoticeKind


class Tried(NamedTuple):
    """How one test ended."""

    sink: str
    kind: str
    delivered: bool
    answer: str


def list_(
    config: Path | None, environ: Mapping[str, str], *, as_json: bool = False, out: Console | None = None
) -> ExitCode:
    """Print every configured sink. Raises BadInput."""
    out = out or Console()
    rows = [
        {"name": sink.name, "kind": sink.kind, "min_severity": str(sink.min_severity), "templates": _own(sink)}
        for sink in load(config, environ).settings.sinks
    ]
    if as_json:
        _json(out, {"sinks": rows})
        return ExitCode.OK
    for row in rows:
        own = f"   own words: {', '.join(row['templates'])}" if row["templates"] else ""
        _line(out, f"{row['name']:<16}  {row['kind']:<13}  from {row['min_severity']} on{own}")
    if not rows:
        _line(out, "nobody is told: no sink is configured")
    return ExitCode.OK


def send_test(
    config: Path | None,
    environ: Mapping[str, str],
    name: str = "",
    *,
    as_json: bool = False,
    out: Console | None = None,
) -> ExitCode:
    """Send a test through one sink, or all. OK, or PROBLEM_FOUND when a receiver did not take it. Raises BadInput."""
    out = out or Console()
    settings = load(config, environ).settings
    if name and name not in [sink.name for sink in settings.sinks]:
        raise BadInput([_unknown(name, [sink.name for sink in settings.sinks])])
    tried = asyncio.run(_try_all(settings, name, SystemClock()))
    if as_json:
        _json(out, {"ok": all(trial.delivered for trial in tried), "sinks": [trial._asdict() for trial in tried]})
    else:
        for trial in tried:
            verdict = "taken" if trial.delivered else "NOT TAKEN"
            _line(out, f"{trial.sink:<16}  {trial.kind:<13}  {verdict}" + (f": {trial.answer}" if trial.answer else ""))
    return ExitCode.OK if all(trial.delivered for trial in tried) else ExitCode.PROBLEM_FOUND


async def _try_all(settings: Settings, name: str, clock: Clock) -> Sequence[Tried]:
    sinks = make_sinks(settings, clock)
    notice = marked_notice(settings, clock)
    try:
        chosen = [(sink, group) for sink, group in zip(sinks, settings.sinks, strict=True) if name in ("", group.name)]
        return await asyncio.gather(*(_try(sink, group, notice, clock) for sink, group in chosen))
    finally:
        for sink in sinks:
            await sink.close()


async def _try(sink: Sink, group: SinkSettings, notice: Notice, clock: Clock) -> Tried:
    result = await sink.send(notice, 1)
    if result.delivered and group.keeps_open:
        ended = await sink.send(resolved(notice, clock), 1)
        if not ended.delivered:
            return Tried(sink.name, group.kind, False, f"the test was taken, its end was not: {ended.because}")
    return Tried(sink.name, group.kind, result.delivered, result.because)


def marked_notice(settings: Settings, clock: Clock) -> Notice:
    """Nothing is wrong, and every line of it says so."""
    wall = clock.now().wall
    what = "this is a test of the alerts, nothing is wrong"
    return Notice(
        id=f"ntc-{secrets.token_hex(8)}",
        kind=NoticeKind.TEST,
        target=settings.target,
        incident=f"test-{secrets.token_hex(3)}",
        wall=wall,
        severity="info",
        title=f"{settings.target} test: {what}",
        text=f"{what}. It was sent by hand.",
        next_command="watchtower sinks test",
        state=IncidentState.CLEAR,
        what=what,
        news="It was sent by hand, with watchtower sinks test.",
    )


def resolved(notice: Notice, clock: Clock) -> Notice:
    """The end of the test."""
    return msgspec.structs.replace(
        notice,
        id=f"ntc-{secrets.token_hex(8)}",
        kind=NoticeKind.RESOLVED,
        wall=clock.now().wall,
        news="The test is over.",
    )


def _unknown(name: str, known: list[str]) -> Problem:
    near = difflib.get_close_matches(name, known, n=1)
    cure = f"did you mean {near[0]}?" if near else f"configured: {', '.join(known) or 'none'}"
    return Problem("argument", "NAME", f"no sink is named {name!r}", cure)


def _own(sink: Any) -> list[str]:
    return [field for field in ("headline", "text") if getattr(sink.templates, field)]


def _line(out: Console, text: str) -> None:
    out.print(Text(text), soft_wrap=True)


def _json(out: Console, value: Any) -> None:
    out.file.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
