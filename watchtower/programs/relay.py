"""``python -m watchtower.programs.relay '<RelayPlan as JSON>'``: one relay worker.

It is started in its own session and outlives the daemon. SIGTERM ends it, and open answers may still end within
``drain_seconds``; SIGUSR1 asks it to make room for another worker, and then it leaves with its last stream.
It imports nothing heavy (no pydantic, no structlog), because every worker pays for it in memory and start time.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from typing import Final

import msgspec
import uvloop

from watchtower import __version__
from watchtower.taps.handover import RETIRE, Handed, HandoverServer, WorkerLock
from watchtower.taps.listening import adopted, bound, inherited, name_of, refuse_to_meet_itself
from watchtower.taps.relay_plan import RelayPlan
from watchtower.taps.relay_worker import RelayWorker
from watchtower.taps.reports import Reporter
from watchtower.taps.socket_addresses import listen_address
from watchtower.vocabulary.errors import BadInput, ExitCode, Problem, Refused, WatchtowerError

_RETIRED_SECONDS: Final = 3600.0
"""A worker whose place another has taken waits so long for its last stream, unless SIGTERM ends its patience."""
_LOCK_TRIES: Final = 40
_LOCK_RETRY_SECONDS: Final = 0.05


async def relay(plan: RelayPlan) -> None:
    """Run until it is asked to leave. Raises BadInput (address, upstream) and Refused (this worker already runs)."""
    loop = asyncio.get_running_loop()
    pid = os.getpid()
    worker = RelayWorker(plan, loop, pid)
    lock = WorkerLock(plan.lock_path)
    await _take(lock, pid, loop)
    listening = _listening_socket(plan, pid)
    refuse_to_meet_itself(worker.state.upstream, listening, [plan.handover_path])
    if (reach := worker.state.places.reach) < plan.max_connections:
        print(f"the descriptor limit allows {reach} requests at once, fewer than max_connections", file=sys.stderr)
    leaving, terminated = asyncio.Event(), asyncio.Event()

    def terminate() -> None:
        terminated.set()
        leaving.set()

    loop.add_signal_handler(signal.SIGTERM, terminate)
    loop.add_signal_handler(RETIRE, leaving.set)
    handed = Handed(pid=pid, digest=plan.digest(), listen=plan.listen, retires=True)
    handover = HandoverServer(loop, plan.handover_path, listening, handed)
    reporter = Reporter(worker.state, pid, __version__, name_of(listening))
    # Accepting closes its socket in the end; the handover needs one of its own.
    await worker.listen(socket.socket(fileno=os.dup(listening.fileno())))
    reporter.start()
    gc.freeze()  # what is loaded by now stays for good: later collections need not look at it
    await leaving.wait()
    # A successor may take our place at once; what is open ends here.
    leaving_lock = WorkerLock(plan.leaving_path(pid))
    with suppress(OSError):  # without it, only a daemon that comes later cannot know us
        leaving_lock.take(pid)
    handover.close()
    listening.close()
    lock.give_up()
    if not await worker.drain(_RETIRED_SECONDS, terminated) and not await worker.drain(plan.drain_seconds):
        worker.cut()
    reporter.close()
    leaving_lock.remove()


async def _take(lock: WorkerLock, pid: int, loop: asyncio.AbstractEventLoop) -> None:
    """A predecessor that was told to go gives its lock up within a moment."""
    for _ in range(_LOCK_TRIES):
        if lock.take(pid):
            return
        moment: asyncio.Future[None] = loop.create_future()
        loop.call_later(_LOCK_RETRY_SECONDS, moment.set_result, None)
        await moment
    raise Refused("a relay worker of this number already runs on this run directory")


def _listening_socket(plan: RelayPlan, pid: int) -> socket.socket:
    if plan.listen_fd >= 0:
        return adopted(plan.listen_fd)
    return inherited(os.environ, pid) or bound(listen_address(plan.listen))


def _raise_descriptor_limit() -> None:
    """Every client takes two descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(arguments: list[str]) -> int:
    """Exit status: see ``vocabulary.errors.ExitCode``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _raise_descriptor_limit()
    try:
        if len(arguments) != 1:
            raise BadInput([Problem("command line", "", "expected one argument", "pass a relay plan as JSON")])
        try:
            plan = msgspec.json.decode(arguments[0], type=RelayPlan)
        except msgspec.MsgspecError as exc:
            raise BadInput([Problem("command line", "", f"not a relay plan: {exc}", "pass a relay plan")]) from exc
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(relay(plan))
    except WatchtowerError as problem:
        print(problem, file=sys.stderr, flush=True)
        return problem.exit_code
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
