"""``watchtower bypass``: takes the relay's reading out of the path, with a daemon or without one.

A daemon that answers is asked, like for any order. One that is dead or hangs may be the very reason for the order, so
after two seconds the file that the relay workers look at is written here; whichever daemon runs next journals it.
"""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any, Final

from watchtower.clock import boottime
from watchtower.programs.client import DaemonClient
from watchtower.taps.bypass import bypass_path, end_bypass, read_bypass, write_bypass
from watchtower.vocabulary.errors import NotReachable, Refused
from watchtower.vocabulary.facts import Bypassed

PATIENCE_SECONDS: Final = 2.0
"""A daemon that does not answer by then is not waited for."""
OBEYED_SECONDS: Final = 3.0
"""Workers look twice a second and report at once."""


def order_bypass(state_directory: Path, *, on: bool, author: str, reason: str, wall: float) -> dict[str, Any]:
    """What was ordered, by which way, and how many workers obey: on, path, daemon, workers, of (None: not known).

    Raises Refused (it is so already, or the file cannot be written) and NotReachable (there is no such directory)."""
    daemon = DaemonClient(state_directory, PATIENCE_SECONDS)
    path = bypass_path(state_directory)
    answered = True
    try:
        daemon.command("bypass" if on else "bypass-off", author=author, reason=reason)
    except NotReachable:
        answered = False
        _write(path, Bypassed(author, reason, wall) if on else None)
    workers, of = _obeyed(daemon, on) if answered else (None, None)
    return {"on": on, "path": str(path), "daemon": answered, "workers": workers, "of": of}


def _write(path: Path, bypassed: Bypassed | None) -> None:
    if not path.parent.is_dir():
        raise NotReachable(f"no Watchtower answers and there is no directory {path.parent} · name it with --state-dir")
    before = read_bypass(path)
    if bypassed is not None and before is not None:
        raise Refused(f"{before.author} had it bypassed already: {before.reason}")
    if bypassed is None and before is None:
        raise Refused("the relay is not bypassed")
    try:
        write_bypass(path, bypassed) if bypassed is not None else end_bypass(path)
    except OSError as problem:
        raise Refused(f"{path} cannot be changed: {problem.strerror}") from problem


def _obeyed(daemon: DaemonClient, on: bool) -> tuple[int | None, int | None]:
    """(workers that do as ordered, all workers), once all do or the time is over."""
    until, pause = boottime() + OBEYED_SECONDS, Event()
    while True:
        try:
            relay = daemon.get("/api/v1/status")["relay"]
        except NotReachable:
            return None, None
        bypass, of = relay["bypass"], relay["workers"]
        forwarding = bypass["workers"] if bypass else 0
        obeying = forwarding if on else of - forwarding
        if obeying == of or boottime() > until:
            return obeying, of
        pause.wait(0.1)


def sentence(done: dict[str, Any]) -> str:
    """The sentences for a person."""
    what = "forwards only; nothing of the traffic is read" if done["on"] else "reads again"
    if not done["daemon"]:
        way = "written" if done["on"] else "removed"
        return (
            f"no daemon answers, so {done['path']} was {way} here: every relay worker {what} within a second. "
            "The next daemon journals it."
        )
    if done["workers"] is None:
        return f"ordered; the daemon does not say yet whether the relay {what}"
    late = "" if done["workers"] == done["of"] else " (the others are older, or do not answer)"
    return f"{done['workers']} of {done['of']} relay workers: {what}{late}"
