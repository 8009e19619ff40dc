"""The keeper: a small process in its own session that owns the engine's process tree and outlives the daemon.

    python -m watchtower.programs.keeper '<KeeperPlan as JSON>'      ("-": read it from standard input)

One keeper per state directory (flock). As a subreaper it inherits every orphan of the tree. SIGTERM ends the engine and
then the keeper; SIGKILL leaves the engine running, and the next keeper adopts it. The daemon hands the plan over on
standard input, because the engine's environment may hold secrets and command lines are public.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import msgspec

from watchtower.adapters.keeper.engine_tree import EngineTree
from watchtower.adapters.keeper.keeper_server import KeeperServer
from watchtower.adapters.keeper.protocol import (
    Confirmed,
    Execute,
    ExecutionReply,
    Fence,
    KeeperPlan,
    Observe,
    Observed,
    Request,
    Response,
    Stands,
    Start,
    Status,
    Stop,
)
from watchtower.adapters.keeper.restarts import Restarts
from watchtower.clock import SystemClock
from watchtower.storage.opledger import OpLedger
from watchtower.vocabulary.errors import ExitCode, StorageFault

PR_SET_CHILD_SUBREAPER = 36
WATCH_SECONDS = 1.0


def main(arguments: list[str]) -> int:
    """Serve until told to stop. Exit status: an ``ExitCode``; REFUSED when another keeper serves this state."""
    try:
        document = sys.stdin.buffer.read() if arguments == ["-"] else " ".join(arguments).encode()
        plan = msgspec.json.decode(document, type=KeeperPlan)
    except msgspec.MsgspecError as problem:
        return _complain(ExitCode.BAD_INPUT, f"this is no keeper plan: {problem}")
    if not plan.argv:
        return _complain(ExitCode.BAD_INPUT, "the plan has no command line for the engine")
    # blocked in every thread and taken by sigtimedwait: no handler ever interrupts an operation
    waited = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        state = Path(plan.state)
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(state / "keeper.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _complain(ExitCode.REFUSED, "another keeper serves this state directory")
        _become_subreaper()
        ledger = OpLedger(state / "keeper.ledger")
        return Keeper(plan, ledger).run(waited)
    except (OSError, StorageFault) as problem:
        return _complain(ExitCode.PROBLEM_FOUND, str(problem))


class Keeper:
    """Connects socket, operations and tree; decides nothing."""

    def __init__(self, plan: KeeperPlan, ledger: OpLedger) -> None:
        self._digest = plan.digest()
        self._stopped = Event()
        self._engine = EngineTree(plan, ledger.append, ledger.engine, ledger.exited)
        self._restarts = Restarts(ledger, self._engine, say)
        if self._engine.adopted:
            say(f"engine {self._engine.incarnation()} outlived an earlier keeper and is adopted")
        self._restarts.recover()
        self._server = KeeperServer(plan.socket, self.answer)

    def run(self, waited: set[signal.Signals]) -> int:
        """The main thread: reap the dead, obey SIGTERM."""
        Thread(target=self._server.serve, name="server", daemon=True).start()
        while not self._stopped.is_set():
            heard = signal.sigtimedwait(waited, WATCH_SECONDS)
            if heard is not None and heard.si_signo != signal.SIGCHLD:
                say(f"{signal.Signals(heard.si_signo).name}: ending the engine")
                if because := self._end():
                    say(f"the engine could not be ended: {because}")
            try:
                self._engine.watch()
            except StorageFault as fault:
                say(f"the engine's end could not be written down: {fault}")
        self._server.close()
        return ExitCode.OK

    def answer(self, request: Request) -> Response:
        match request:
            case Observe():
                runs, ended = self._engine.standing()
                return Observed(
                    incarnation=runs,
                    ended=ended,
                    because=self._engine.because(),
                    plan_digest=self._digest,
                    keeper_pid=os.getpid(),
                )
            case Execute(plan=plan):
                say(f"operation {plan.op_id}: {plan.verb} asked")
                reply = self._restarts.execute(plan)
                say(f"operation {plan.op_id}: {reply.kind}, {reply.because}")
                return ExecutionReply(reply)
            case Status(op_id=op_id):
                return Stands(self._restarts.status(op_id))
            case Fence(token=token):
                because = self._restarts.fence(token)
                return Confirmed(not because, because)
            case Start(again=again):
                because = self._restarts.start(again)
                return Confirmed(not because, because)
            case Stop():
                say("asked to end")
                because = self._end()
                return Confirmed(not because, because)

    def _end(self) -> str:
        because = self._restarts.stop()
        if not because:
            with suppress(StorageFault):  # then the next start is a decision, as it was
                self._engine.release()
            self._stopped.set()
            os.kill(os.getpid(), signal.SIGCHLD)  # wakes the main thread
        return because


def say(sentence: str) -> None:
    """One line in the keeper's own log (standard error)."""
    print(f"{SystemClock().now().iso()} keeper[{os.getpid()}] {sentence}", file=sys.stderr, flush=True)


def _complain(code: ExitCode, sentence: str) -> int:
    say(sentence)
    return code


def _become_subreaper() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot become a subreaper")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
