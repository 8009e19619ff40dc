"""Relay workers that are here already: those of an earlier daemon, or of a container of their own.

A worker's lock says that it lives, its handover socket gives the listening socket. One whose plan is ours is adopted
with everything it has open; any other is asked to leave, and its successor goes on accepting on the same socket.
"""

from __future__ import annotations

import signal
import socket

import structlog

from watchtower.children.outliving import OutlivingProcess
from watchtower.services.relaying.worker_plans import WorkerPlans
from watchtower.taps.handover import RETIRE, Handed, holder, take_over
from watchtower.vocabulary.errors import NotReachable

log = structlog.get_logger("watchtower.relays")


class FoundWorkers:
    """What a look into the run directory brought."""

    def __init__(self) -> None:
        self.adopted: dict[int, OutlivingProcess] = {}
        """By number."""
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


def find_workers(plans: WorkerPlans) -> FoundWorkers:
    """Living workers of any number; those that cannot stay are told to leave.

    Raises Refused when one of them lives in another PID namespace."""
    found = FoundWorkers()
    for path in sorted(plans.directory.glob("relay-*.lock")):
        name = path.stem.removeprefix("relay-")
        pid = holder(path)
        if pid is None or not name.isdigit():
            continue
        number = int(name)
        plan = plans.of(number)
        handed = None
        try:
            listening, handed = take_over(plan.handover_path)
            found.sockets.append((listening, handed))
        except NotReachable as problem:
            log.warning("relay worker does not hand over", worker=number, pid=pid, because=str(problem))
        process = OutlivingProcess.adopt(pid)
        if number < plans.workers and handed is not None and handed.digest == plan.digest():
            if process is not None:  # else it just died; it will be started anew
                log.info("relay worker adopted", worker=number, pid=pid)
                found.adopted[number] = process
        else:
            log.info("relay worker is replaced: its plan differs", worker=number, pid=pid)
            if process is not None:
                # one that can retire cuts no stream, however long; the others end them all within drain_seconds
                process.ask_to_leave(RETIRE if handed is not None and handed.retires else signal.SIGTERM)
                process.let_go()
    return found
