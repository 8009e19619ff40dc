"""Relay workers that are here already: those of an earlier daemon, or of a container of their own.

A worker's lock says that it lives, its handover socket gives the listening socket. One whose plan is ours is adopted
with everything it has open, whatever its number; any other is asked to leave, and its successor goes on accepting on
the same socket. One that does not even hand over stands still or is older than handing over.
"""

from __future__ import annotations

import signal
import socket

import structlog

from watchtower.children.outliving import OutlivingProcess
from watchtower.services.relaying.worker_plans import WorkerPlans
from watchtower.taps.handover import RETIRE, Handed, holder, take_over
from watchtower.taps.relay_plan import LEAVING
from watchtower.vocabulary.errors import NotReachable

log = structlog.get_logger("watchtower.relays")


class FoundWorkers:
    """What a look into the run directory brought."""

    def __init__(self) -> None:
        self.adopted: dict[int, OutlivingProcess] = {}
        """By number."""
        self.silent: dict[int, OutlivingProcess] = {}
        """By number: they would hand over, and do not answer. Asked to retire, for when they come round."""
        self.leaving: set[int] = set()
        """Pids of all that were asked to leave."""
        self.sockets: list[tuple[socket.socket, Handed]] = []

    def inherit(self, listen: str) -> socket.socket | None:
        """The first listening socket that was made for the address ``listen``; the others are closed."""
        kept: socket.socket | None = None
        for listening, handed in self.sockets:
            if kept is None and handed.listen == listen:
                kept = listening
            else:
                listening.close()
        self.sockets.clear()
        return kept

    def dismiss(self, number: int, process: OutlivingProcess, *, hands_over: bool, retires: bool) -> None:
        """Ask it to leave: one that can retire cuts no stream, however long; the others end theirs in time."""
        self.leaving.add(process.pid)
        process.ask_to_leave(RETIRE if retires else signal.SIGTERM)
        if hands_over or not retires:
            process.let_go()
        else:
            self.silent[number] = process


def find_workers(plans: WorkerPlans) -> FoundWorkers:
    """Living workers of any number; those that cannot stay are told to leave.

    Raises Refused when one of them lives in another PID namespace."""
    found = FoundWorkers()
    numbered = [
        (int(name), path)
        for path in plans.directory.glob("relay-*.lock")
        if (name := path.stem.removeprefix("relay-")).isdigit()
    ]
    for number, path in sorted(numbered):
        pid = holder(path)
        if pid is None:
            continue
        plan = plans.of(number)
        handed = None
        try:
            listening, handed = take_over(plan.handover_path)
            found.sockets.append((listening, handed))
        except NotReachable as problem:
            log.warning("relay worker does not hand over", worker=number, pid=pid, because=str(problem))
        process = OutlivingProcess.adopt(pid)
        if process is None:  # it just died; it will be started anew
            continue
        if handed is None:
            found.dismiss(number, process, hands_over=False, retires=process.catches(RETIRE))
        elif handed.digest == plan.digest() and len(found.adopted) < plans.workers:
            log.info("relay worker adopted", worker=number, pid=pid)
            found.adopted[number] = process
        else:
            log.info("relay worker is replaced: its plan differs, or it is one too many", worker=number, pid=pid)
            found.dismiss(number, process, hands_over=True, retires=handed.retires)
    _forget_the_dead(plans)
    return found


def _forget_the_dead(plans: WorkerPlans) -> None:
    """Locks of workers that were killed while they retired."""
    for path in plans.directory.glob(LEAVING.format(pid="*")):
        if holder(path) is None:
            path.unlink(missing_ok=True)
