"""Processes as /proc shows them: identities that survive pid reuse, trees, and signals that hit nobody else.

A pid alone is never trusted. A process is (pid, start time); a signal goes to a pidfd whose start time was read again
after the pidfd was opened, so it cannot hit a stranger who got the same number. Zombies count as gone: they hold
neither memory nor ports, and only their parent can reap them.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import NamedTuple

from watchtower.clock import boot_id
from watchtower.vocabulary.actions import Incarnation

MARK = "WATCHTOWER_ENGINE_MARK"
"""Environment variable that every descendant of the engine inherits unless it cleans its environment."""


class ProcStat(NamedTuple):
    """One process; equal only if it is the same one."""

    pid: int
    started: int
    """Field 22 of /proc/pid/stat: clock ticks since boot."""
    parent: int
    session: int
    state: str

    @property
    def key(self) -> tuple[int, int]:
        return self.pid, self.started


def look(pid: int) -> ProcStat | None:
    """The process ``pid`` as it is now; None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # the name stands in parentheses and may itself hold spaces and parentheses: read from the last one on
    fields = stat[stat.rfind(b")") + 2 :].split()
    return ProcStat(pid, int(fields[19]), int(fields[1]), int(fields[3]), fields[0].decode())


def incarnation_of(process: ProcStat) -> Incarnation:
    return Incarnation(str(process.pid), str(process.started), boot_id())


def alive(incarnation: Incarnation) -> bool:
    """Whether exactly this process still runs (a zombie does not)."""
    if incarnation.boot_id != boot_id():
        return False
    process = look(int(incarnation.id))
    return process is not None and process.state not in "ZX" and str(process.started) == incarnation.started


def everything() -> dict[int, ProcStat]:
    """All processes that are not dead, by pid."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (process := look(int(name))) is not None and process.state not in "X":
            found[process.pid] = process
    return found


def tree(parent: int, root: Incarnation | None, mark: str) -> list[ProcStat]:
    """What belongs to an engine, zombies left out: every descendant of ``parent`` (a subreaper), the session that
    ``root`` leads, whoever carries ``mark`` in its environment, and the descendants of all of these.

    Descent finds everything as long as the subreaper lives; session and mark find what it lost by dying. Never
    includes this process."""
    processes = everything()
    children: dict[int, list[ProcStat]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process)
    session = _session_of(root, processes)
    marked = f"{MARK}={mark}".encode()
    waiting = list(children.get(parent, ()))
    waiting += [process for process in processes.values() if session and process.session == session]
    waiting += [process for process in processes.values() if mark and _carries(process.pid, marked)]
    members: dict[int, ProcStat] = {}
    while waiting:
        process = waiting.pop()
        if process.pid not in members and process.pid != os.getpid():
            members[process.pid] = process
            waiting += children.get(process.pid, ())
    return [process for process in members.values() if process.state != "Z"]


def send(process: ProcStat, *signals: signal.Signals) -> None:
    """Signal exactly this process; if it is gone there is nothing to do. Raises ``PermissionError``."""
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(process.pid)
        try:
            now = look(process.pid)
            if now is not None and now.started == process.started:
                for number in signals:
                    signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def _carries(pid: int, marked: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return marked in file.read().split(b"\0")
    except OSError:  # another user's, or just gone
        return False


def _session_of(root: Incarnation | None, processes: dict[int, ProcStat]) -> int:
    """The session ``root`` leads or led; 0 when that number now belongs to somebody else. (The kernel does not hand a
    number out again while a session of that number has members.)"""
    if root is None or root.boot_id != boot_id():
        return 0
    leader = processes.get(int(root.id))
    return int(root.id) if leader is None or str(leader.started) == root.started else 0
