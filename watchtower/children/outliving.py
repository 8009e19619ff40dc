"""One process that may outlive us: started by us or found, and named by its pidfd, so that a reused pid is never hit.

It is asked to leave (SIGTERM, or a gentler signal that it knows) and has a deadline of its own; SIGKILL is for one that
misses even that.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from watchtower.children.counts import Counts


class Motion(NamedTuple):
    """What ``/proc/<pid>/stat`` says of whether a process does anything (proc(5))."""

    stopped: bool
    """State T: by a signal, or by a debugger."""
    cpu_ticks: int
    """Used since its start."""


class OutlivingProcess:
    """Made by ``spawn`` or ``adopt``; ``let_go`` of it or wait for its exit."""

    def __init__(self, pid: int, pidfd: int, child: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self._pidfd = pidfd
        self._child = child

    @classmethod
    def spawn(
        cls, program: Sequence[str], counts: Counts, *, output: int, inherited: Sequence[int] = ()
    ) -> OutlivingProcess:
        """In a session of its own. ``output``: descriptor for what it prints; ``inherited``: descriptors that it gets.
        Raises OSError."""
        child = subprocess.Popen(
            list(program),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=inherited,
            start_new_session=True,
        )
        counts.started += 1
        return cls(child.pid, os.pidfd_open(child.pid), child)

    @classmethod
    def adopt(cls, pid: int) -> OutlivingProcess | None:
        """A process that somebody else started; None when it just ended."""
        try:
            return cls(pid, os.pidfd_open(pid))
        except OSError:
            return None

    async def exited(self, over: asyncio.Event | None = None) -> None:
        """Wait until it has ended: then its pidfd becomes readable, and ``over`` is set. Who sets it ends the wait."""
        loop = asyncio.get_running_loop()
        over = over or asyncio.Event()
        loop.add_reader(self._pidfd, over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(self._pidfd)

    @property
    def ended(self) -> bool:
        """It may be reaped."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(0))

    def motion(self) -> Motion | None:
        """None when it is gone."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        except OSError:
            return None
        state, *numbers = fields.split()
        return Motion(state in ("T", "t"), int(numbers[10]) + int(numbers[11]))

    def catches(self, number: signal.Signals) -> bool:
        """Whether it has a handler for that signal, which would otherwise end it."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        caught = status.partition("\nSigCgt:")[2].split("\n", 1)[0].strip() or "0"
        return bool(int(caught, 16) >> (number - 1) & 1)

    def reap(self) -> int | None:
        """Exit status of a process that has ended; None for an adopted one, whose status is its parent's."""
        os.close(self._pidfd)
        return None if self._child is None else self._child.wait()

    def ask_to_leave(self, how: signal.Signals = signal.SIGTERM) -> None:
        with suppress(ProcessLookupError):  # it has left already
            signal.pidfd_send_signal(self._pidfd, how)

    async def left(self, within_seconds: float) -> None:
        """Wait for its exit, and make it exit after ``within_seconds``."""
        try:
            async with asyncio.timeout(within_seconds):
                await self.exited()
        except TimeoutError:
            self.kill()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def let_go(self) -> None:
        """It lives on without us: nothing to wait for, nothing to warn about."""
        if self._child is not None and self._child.poll() is None:
            self._child.returncode = 0
        os.close(self._pidfd)
