"""Looking at processes through ``/proc``: who they are and whose children they are. Looks only, sends nothing.

A process is its pid *and* its start time; a pid alone may be somebody else by now.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    pid: int
    parent: int
    started: str
    """Clock ticks since boot (field 22 of ``stat``)."""
    state: str
    """One letter: R running, S sleeping, T stopped, Z zombie, …"""
    title: str
    """The command line as the process shows it: what setproctitle changes."""


def process(pid: int) -> ProcessInfo | None:
    """One process as it is now; None when there is none."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(errors="replace")
        title = (PROC / str(pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return ProcessInfo(pid, int(fields[1]), fields[19], fields[0], title.replace(b"\0", b" ").decode(errors="replace"))


def tree(root: int) -> list[ProcessInfo]:
    """``root`` and all its descendants, parents before children; empty when ``root`` does not exist."""
    children: dict[int, list[ProcessInfo]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdecimal() and (found := process(int(entry.name))) is not None:
            children.setdefault(found.parent, []).append(found)
    top = process(root)
    line = [top] if top is not None else []
    for member in line:
        line.extend(children.get(member.pid, ()))
    return line


def workers(root: int) -> list[ProcessInfo]:
    """vLLM's tensor-parallel workers below ``root``, rank 0 first. Searched among descendants only, never by name
    over the whole machine."""
    found = [member for member in tree(root) if member.title.startswith("VLLM::Worker") and member.state != "Z"]
    return sorted(found, key=lambda member: member.title)
