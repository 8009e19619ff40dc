"""One child that ends with us: its pipes, its readiness, and its end, to the last process of its group.

It leads a session of its own, so that a signal to our terminal does not reach it and SIGKILL to its group reaches all
it started. A child is given up once, with the reason that everybody who waits for it is told.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from watchtower.children.counts import Counts
from watchtower.children.policy.patience import Patience
from watchtower.vocabulary.errors import NotReachable

Said = TypeVar("Said")

LINE_BYTES = 64 * 1024
CLOSED_SECONDS = 1.0
"""How long a child that closed its output may take to end."""


def kill_group(pid: int) -> None:
    """SIGKILL to every process of the group that ``pid`` leads."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


class ChildProcess:
    """Made by ``spawn``; ``reap`` or ``end`` it."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        patience: Patience,
        counts: Counts,
        kill: Callable[[int], None] = kill_group,
    ) -> None:
        """``kill`` ends a process group by its id."""
        assert process.stdin is not None  # spawn() asked for both
        assert process.stdout is not None
        self._process = process
        self._input, self.output = process.stdin, process.stdout
        self._patience = patience
        self._counts = counts
        self._kill = kill
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gone = ""
        """Why it is of no use any more; "" while it is."""

    @classmethod
    async def spawn(
        cls,
        program: Sequence[str],
        patience: Patience,
        counts: Counts,
        *,
        environment: Mapping[str, str] | None = None,
        line_bytes: int = LINE_BYTES,
        kill: Callable[[int], None] = kill_group,
    ) -> ChildProcess:
        """``environment`` replaces ours; ``line_bytes``: longest line of its output. Raises OSError."""
        process = await asyncio.create_subprocess_exec(
            *program,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=line_bytes,
            start_new_session=True,
            env=environment,
        )
        counts.started += 1
        return cls(process, patience, counts, kill)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status, or the negative number of the signal that ended it; None while it lives."""
        return self._process.returncode

    # ── what is said ────────────────────────────────────────────────────────────────────────────

    def write(self, data: bytes) -> None:
        """Put into its input what it will read by and by; a child that is ending reads nothing any more."""
        with suppress(ConnectionError, RuntimeError):
            self._input.write(data)

    async def drain(self) -> None:
        """Wait until it reads. Raises ConnectionError when it is gone."""
        await self._input.drain()

    async def heard(self, reading: Awaitable[Said]) -> Said:
        """Its next sign of life. Raises TimeoutError when it stays away for longer than our patience."""
        async with asyncio.timeout(self.patience_seconds):
            return await reading

    @property
    def patience_seconds(self) -> float | None:
        return self._patience.limit(ready=self.ready)

    # ── readiness ───────────────────────────────────────────────────────────────────────────────

    @property
    def ready(self) -> bool:
        """It was ready once; it may be gone by now."""
        return self._ready.done() and self._ready.exception() is None

    def mark_ready(self) -> None:
        if not self._ready.done():
            self._ready.set_result(None)

    async def readiness(self) -> None:
        """Return once it is ready. Raises NotReachable when it is given up before."""
        await asyncio.shield(self._ready)

    # ── its end ─────────────────────────────────────────────────────────────────────────────────

    def give_up(self, because: str) -> None:
        """Kill it, and count that. Only the first reason stands; later calls change nothing."""
        if self.gone:
            return
        self._counts.kills += 1
        self._end_for(because)

    async def reap(self, because: str) -> None:
        """End it without blame, and wait until it is gone."""
        if not self.gone:
            self._end_for(because)
        self._input.close()
        await self._process.wait()

    async def end(self, stop_seconds: float, kill_seconds: float) -> bool:
        """Wait for it to end by itself, then give it up; whether it is gone ``kill_seconds`` later.

        False: it is stuck in the kernel, and counted as abandoned. One that is given up already gets no time."""
        if not self.gone and await self.ended(stop_seconds):
            return True
        self.give_up("it closed its output and did not end")
        if await self.ended(kill_seconds):
            return True
        self._counts.abandoned += 1
        return False

    async def ended(self, within_seconds: float) -> bool:
        """Whether it is gone by then."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                await self._process.wait()
        return self.status is not None

    def kill(self) -> None:
        """SIGKILL to its group, if it lives. It is not blamed: see ``give_up``."""
        if self.status is None:
            self._kill(self.pid)

    async def status_in_words(self) -> str:
        """How it ended; a child that only closed its output is made to end."""
        if not await self.ended(CLOSED_SECONDS):
            self.kill()
        code = await self._process.wait()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"

    def _end_for(self, because: str) -> None:
        self.gone = because
        self.kill()
        if not self._ready.done():
            self._ready.set_exception(NotReachable(because))
            self._ready.exception()  # seen: nobody may be waiting
