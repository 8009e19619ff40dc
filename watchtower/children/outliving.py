"""One process that may outlive us: started by us or found, and named by its pidfd, so that a reused pid is never hit.

It is asked to leave (SIGTERM, or a gentler signal that it knows) and has a deadline of its own; SIGKILL is for one that
misses even that.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from watchtower.children.counts import Counts


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

    async def exited(self) -> None:
        """Wait until it has ended: then its pidfd becomes readable."""
        loop = asyncio.get_running_loop()
        dead = asyncio.Event()
        loop.add_reader(self._pidfd, dead.set)
        try:
            await dead.wait()
        finally:
            loop.remove_reader(self._pidfd)

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
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def let_go(self) -> None:
        """It lives on without us: nothing to wait for, nothing to warn about."""
        if self._child is not None and self._child.poll() is None:
            self._child.returncode = 0
        os.close(self._pidfd)
