"""The engine's process tree: started through a gate, observed by identity, ended to the last descendant.

Invariants: at most one tree at a time; nothing runs that the ledger does not know; "ended" means that no process of
the tree is left, wherever it was re-parented to. It never starts anything by itself: an engine that dies stays dead
until somebody asks.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from signal import SIGCONT, SIGINT, SIGKILL, SIGTERM, Signals
from threading import RLock

from watchtower.adapters.keeper.crashing import crash_point
from watchtower.adapters.keeper.gate import GATE
from watchtower.adapters.keeper.inheritance import difference, inherited
from watchtower.adapters.keeper.process_tree import MARK, ProcStat, alive, incarnation_of, look, send, tree
from watchtower.adapters.keeper.protocol import KeeperPlan
from watchtower.clock import SystemClock, boottime, boottime_ns, sleep_blocking
from watchtower.vocabulary.actions import Incarnation
from watchtower.vocabulary.operations import EngineExited, EngineStarted

LOG_BYTES = 20 * 1024 * 1024
"""A longer engine log becomes ``.1`` at the next start."""
KILL_SECONDS = 30.0
"""How long the kernel may take to end what got SIGKILL (a process in a driver call can take for ever)."""
POLL_SECONDS = 0.05
GATE_FILE = Path(__file__).with_name("gate.py")


class CannotStart(Exception):
    """The gate process could not be made."""


class CannotEnd(Exception):
    """Something of the tree survived SIGKILL, or may not be signalled."""


class EngineTree:
    """The one engine this keeper owns. ``record`` makes a record durable or raises."""

    def __init__(
        self,
        plan: KeeperPlan,
        record: Callable[[EngineStarted | EngineExited], None],
        engine: EngineStarted | None,
        exited: EngineExited | None,
    ) -> None:
        """``engine`` and ``exited``: what the ledger remembers; a remembered engine that still lives is adopted."""
        self._plan = plan
        self._inherited = inherited(os.environ) if plan.inherited is None else plan.inherited
        self._record = record
        self.engine = engine
        self.exited = exited
        self.adopted = engine is not None and alive(engine.incarnation)
        self._ending = False
        self._lock = RLock()

    def incarnation(self) -> Incarnation | None:
        """Who runs now; None: proven not running."""
        return self.standing()[0]

    def standing(self) -> tuple[Incarnation | None, Incarnation | None]:
        """(who runs, who ran last and is dead): the newest engine is one of the two; neither: never started."""
        engine = self.engine  # looked up once: a start may come in between
        if engine is None:
            return None, None
        return (engine.incarnation, None) if alive(engine.incarnation) else (None, engine.incarnation)

    def because(self) -> str:
        """What a person should know about it, besides who it is."""
        if self.incarnation() is not None:
            return "adopted: it outlived an earlier keeper, its exit status will not be known" if self.adopted else ""
        if self.engine is None:
            return "never started"
        return self.exited.because if self.exited is not None else "ended while no keeper watched"

    def cannot_start(self) -> str:
        """Why a start would fail for certain; empty when nothing speaks against it."""
        directory = self._plan.directory
        if directory and not Path(directory).is_dir():
            return "the engine's working directory does not exist"
        path = self._plan.environment.get("PATH", os.environ.get("PATH"))
        program = self._plan.argv[0]
        if directory and os.sep in program:
            program = os.path.join(directory, program)
        if shutil.which(program, path=path) is None:
            return "the engine's program cannot be found or executed"
        now = inherited({name: value for name, value in os.environ.items() if name in self._inherited})
        if other := difference(self._inherited, now):
            return f"this keeper's environment is not the one of its plan · {other}"
        return ""

    def other_environment(self) -> str:
        """In what the newest engine's environment differs from the one that a start would give it now; empty: in
        nothing that anybody compares."""
        if self.engine is None or not self.engine.inherited:
            return ""
        return difference(self.engine.inherited, self._inherited, but=self._plan.environment)

    def start(self, op_id: str, reason: str) -> Incarnation:
        """Start one engine and return its identity. Raises ``CannotStart`` and whatever ``record`` raises; in both
        cases nothing was started."""
        with self._lock:
            mark = f"{os.getpid()}-{boottime_ns()}"
            gate, release = os.pipe()
            try:
                pid = self._spawn(gate, mark, op_id, reason)
                crash_point("spawned")
                process = look(pid)
                if process is None:
                    raise CannotStart("the new process vanished at once")
                engine = EngineStarted(
                    incarnation=incarnation_of(process), mark=mark, op_id=op_id, inherited=self._inherited
                )
                self._record(engine)
                crash_point("recorded")
                with suppress(BrokenPipeError):  # it died at its gate: observed as any other death
                    os.write(release, b"g")
                crash_point("released")
            except OSError as problem:
                raise CannotStart(problem.strerror or type(problem).__name__) from problem
            finally:
                os.close(release)
                os.close(gate)
            self.engine, self.exited, self.adopted = engine, None, False
            return engine.incarnation

    def end(self, why: str) -> None:
        """End the whole tree: SIGTERM and SIGCONT, after ``term_seconds`` SIGKILL, until nothing is left.

        Raises ``CannotEnd`` when something survives, and whatever ``record`` raises."""
        with self._lock:
            self._ending = True
        try:
            self._end_members()
            with self._lock:
                if self.engine is not None and self.exited is None:
                    self._exit(EngineExited(incarnation=self.engine.incarnation, because=why, ordered=True))
        finally:
            self._ending = False

    def release(self) -> None:
        """A person had engine and keeper ended: the next start is a first one, also where the engine had died before.
        Raises whatever ``record`` raises."""
        with self._lock:
            if self.engine is not None and self.exited is not None and not self.exited.ordered:
                because = f"{self.exited.because}; then the keeper was ended on request"
                self._exit(EngineExited(incarnation=self.engine.incarnation, because=because, ordered=True))

    def watch(self) -> None:
        """Reap the dead, and notice when the engine is among them. Called on SIGCHLD and about once a second."""
        with self._lock:
            while True:
                try:
                    pid, status = os.waitpid(-1, os.WNOHANG)
                except ChildProcessError:
                    pid, status = 0, 0
                if pid == 0:
                    break
                if self.engine is not None and str(pid) == self.engine.incarnation.id and not self.adopted:
                    self._died(_in_words(status))
            if self.adopted and self.incarnation() is None:
                self._died("exit status not known: it was adopted")

    def _died(self, because: str) -> None:
        if self._ending or self.engine is None or self.exited is not None:
            return
        self._exit(EngineExited(incarnation=self.engine.incarnation, because=because))

    def _exit(self, exited: EngineExited) -> None:
        self.exited = exited
        self._record(exited)

    def _members(self) -> list[ProcStat]:
        engine = self.engine
        return tree(os.getpid(), engine.incarnation if engine else None, engine.mark if engine else "")

    def _end_members(self) -> None:
        asked: set[tuple[int, int]] = set()
        kill_at = boottime() + self._plan.term_seconds
        while members := self._members():
            now = boottime()
            if now > kill_at + KILL_SECONDS:
                pids = ", ".join(str(member.pid) for member in members[:8])
                raise CannotEnd(f"{len(members)} process(es) survive SIGKILL: {pids}")
            for member in members:
                with suppress(PermissionError):  # counted as a survivor
                    if now >= kill_at:
                        send(member, SIGKILL)
                    elif member.key not in asked:
                        # a stopped process hears SIGTERM only when it is continued
                        send(member, SIGTERM, SIGCONT)
                        asked.add(member.key)
                    elif member.state == "T":
                        send(member, SIGCONT)
            sleep_blocking(POLL_SECONDS)

    def _spawn(self, gate: int, mark: str, op_id: str, reason: str) -> int:
        environment = {name: value for name, value in os.environ.items() if name in self._inherited}
        environment |= self._plan.environment
        environment |= {MARK: mark, "WATCHTOWER_OP_ID": op_id, "WATCHTOWER_REASON": _one_line(reason)}
        log = self._open_log(op_id, reason)
        try:
            return os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", str(GATE_FILE), self._plan.directory, *self._plan.argv],
                environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, log, 1),
                    (os.POSIX_SPAWN_DUP2, log, 2),
                    (os.POSIX_SPAWN_DUP2, gate, GATE),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=(SIGTERM, SIGINT),
            )
        finally:
            os.close(log)

    def _open_log(self, op_id: str, reason: str) -> int:
        with suppress(FileNotFoundError):
            if os.stat(self._plan.log).st_size > LOG_BYTES:
                os.replace(self._plan.log, self._plan.log + ".1")
        log = os.open(self._plan.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        occasion = f"operation {op_id}: {_one_line(reason)}" if op_id else _one_line(reason)
        os.write(log, f"--- {SystemClock().now().iso()} watchtower starts the engine, {occasion}\n".encode())
        return log


def _one_line(text: str) -> str:
    return " ".join(text.replace("\0", " ").split())[:300]


def _in_words(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return f"signal {Signals(number).name}"
        except ValueError:  # real-time signals have no name
            return f"signal {number}"
    return f"exit status {os.waitstatus_to_exitcode(status)}"
