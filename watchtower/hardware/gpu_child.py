"""The daemon's side of the gpu child: reports keep coming, whatever becomes of the child.

A child that says nothing, or whose driver does not return for long, is killed and replaced. One that even SIGKILL does
not end (state D: inside the driver) is abandoned: counted, reported as wedged, and not replaced until it is gone,
because a second one would only hang beside it. Releasing the GPUs means ending the child: nothing else surely leaves
no handle open, and a GPU can only be reset when nobody holds one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

import msgspec
import structlog

from watchtower.hardware.gpu_plan import AGAIN, STOP, GpuPlan
from watchtower.ports import Clock
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import GpuSource, Trouble

LINE_BYTES = 4 * 1024 * 1024
START_SECONDS = 30.0
"""How long a child may take to its first sign of life."""
STOP_SECONDS = 6.0
"""How long it may take to close NVML before it is killed."""
KILL_SECONDS = 5.0
"""How long SIGKILL may take before the child counts as stuck in the driver."""
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
"""Between a child's failure and the next child."""
STEADY_SECONDS = 60.0
"""A child that lived this long was no failure to start: the pause begins anew."""

log = structlog.get_logger("watchtower.hardware.gpu_child")


def kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _ask_to_stop(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        with suppress(ConnectionError, RuntimeError):  # it is ending already
            process.stdin.write(STOP + b"\n")


class GpuChild:
    def __init__(
        self,
        plan: GpuPlan,
        clock: Clock,
        on_fact: Callable[[GpuReport], None],
        *,
        silent_seconds: float = 10.0,
        wedged_seconds: float = 120.0,
        kill_seconds: float = KILL_SECONDS,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
        program: tuple[str, ...] = (sys.executable, "-m", "watchtower.programs.gpu"),
        environment: dict[str, str] | None = None,
        kill: Callable[[int], None] = kill_group,
    ) -> None:
        """``silent_seconds``: no sign of life for so long ends a child; ``wedged_seconds``: neither may it be inside
        the driver for longer. ``environment`` replaces ours; ``kill`` ends a process group by its id."""
        self._plan = plan
        self._clock = clock
        self._on_fact = on_fact
        self._silent_seconds = silent_seconds
        self._wedged_seconds = wedged_seconds
        self._kill_seconds = kill_seconds
        self._first_pause_seconds = first_pause_seconds
        self._program = program
        self._environment = environment
        self._kill = kill
        self._process: asyncio.subprocess.Process | None = None
        self._released_until = 0.0
        self._closed = False
        self._wake = asyncio.Event()
        """Set when what we say in the child's place is no longer true."""
        self._gone = asyncio.Event()
        """Set while there is no child, nor one about to be."""
        self._gone.set()
        self._stuck = False
        """SIGKILL has been sent and does not help."""
        self.kills = 0
        """Children killed for silence, garbage, or a driver that did not return."""
        self.abandoned = 0
        """Children that SIGKILL did not end in time."""

    @property
    def up(self) -> bool:
        """A child runs and is not stuck in the driver."""
        return self._process is not None and not self._stuck

    async def run(self) -> None:
        """Keep a child running until closed."""
        pause = self._first_pause_seconds
        while not self._closed:
            released = self._released_until - self._clock.now().boot
            if released > 0:
                await self._say(Trouble.RELEASED, "NVML was let go of on request", released)
                continue
            started_at = self._clock.now().boot
            because, status = await self._one_life()
            if status == AGAIN or self._unwanted():
                continue
            log.warning("gpu child gone", because=because, kills=self.kills, abandoned=self.abandoned)
            if self._clock.now().boot - started_at > STEADY_SECONDS:
                pause = self._first_pause_seconds
            await self._say(Trouble.FAULT, f"{because}; the next one starts in {pause:g} s", pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def release(self, seconds: float = 900.0) -> bool:
        """Let go of every GPU for at most ``seconds``; whether nothing of ours holds one any more."""
        self._released_until = self._clock.now().boot + seconds
        self._wake.set()
        return await self._end()

    def acquire(self) -> None:
        """Take the GPUs back before the release is over."""
        self._released_until = 0.0
        self._wake.set()

    async def close(self) -> None:
        """End the child; one that cannot be ended is left to the kernel."""
        self._closed = True
        self._wake.set()
        await self._end()

    async def _one_life(self) -> tuple[str, int | None]:
        """Start one child, hand on what it says, reap it. Why it ended, and its exit status where it has one."""
        self._gone.clear()
        try:
            self._process = process = await self._started()
            if self._unwanted():  # a release or our end came while it was starting
                _ask_to_stop(process)
            because = await self._listen(process)
            status = await self._reaped(process, kill=bool(because))
            self._process = None
            return because or f"the gpu child ended with status {status}", status
        except OSError as problem:
            return f"the gpu child cannot be started: {problem.strerror}", None
        finally:
            if self._process is None:
                self._gone.set()
            elif self._process.returncode is None:  # cancelled
                self._kill(self._process.pid)

    async def _started(self) -> asyncio.subprocess.Process:
        """Raises OSError."""
        return await asyncio.create_subprocess_exec(
            *self._program,
            msgspec.json.encode(self._plan).decode(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES,
            start_new_session=True,
            env=self._environment,
        )

    def _unwanted(self) -> bool:
        return self._closed or self._clock.now().boot < self._released_until

    async def _listen(self, process: asyncio.subprocess.Process) -> str:
        """Hand on its reports until it ends ("") or has to be ended (why)."""
        output = process.stdout
        decode = msgspec.json.Decoder(GpuReport).decode
        within = START_SECONDS
        wedged_since: float | None = None
        while output is not None:
            try:
                async with asyncio.timeout(within):
                    line = await output.readline()
                if not line:
                    return ""
                within = self._silent_seconds
                report = decode(line) if line.strip() else None
            except TimeoutError:
                return f"the gpu child gave no sign of life for {within:g} s"
            except (ValueError, msgspec.MsgspecError):  # ValueError: a line beyond the limit
                return "the gpu child wrote garbage"
            if report is None:
                continue
            self._on_fact(report)
            if report.trouble is not Trouble.DRIVER_WEDGED:
                wedged_since = None
            elif wedged_since is None:
                wedged_since = report.at
            elif report.at - wedged_since > self._wedged_seconds:
                return f"the driver did not return for {self._wedged_seconds:g} s"
        return ""

    async def _reaped(self, process: asyncio.subprocess.Process, *, kill: bool) -> int:
        """Its exit status, once it is gone; while the kernel cannot end it, the GPUs are reported as wedged."""
        if not kill:
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    return await process.wait()
        self.kills += 1
        self._kill(process.pid)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._kill_seconds):
                return await process.wait()
        self.abandoned += 1
        self._stuck = True
        log.error("gpu child cannot be killed: stuck in the driver", pid=process.pid)
        while process.returncode is None and not self._closed:
            self._tell(Trouble.DRIVER_WEDGED, f"the gpu child {process.pid} is stuck in the driver: SIGKILL waits")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._plan.poll_seconds):
                    await process.wait()
        self._stuck = process.returncode is None
        return -1 if process.returncode is None else process.returncode

    async def _end(self) -> bool:
        """Ask the child to end, then make it; whether it is gone. Gives up where even that does not help."""
        process = self._process
        if process is not None:
            _ask_to_stop(process)
        for seconds in () if self._stuck else (STOP_SECONDS, self._kill_seconds):
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await (self._gone.wait() if process is None else process.wait())
                    return True
            if process is not None:
                self._kill(process.pid)
        return self._gone.is_set()

    async def _say(self, trouble: Trouble, because: str, seconds: float) -> None:
        """Report in the child's place, as often as it would, for so long or until that is no longer true."""
        self._wake.clear()
        until = self._clock.now().boot + seconds
        while not self._closed and not self._wake.is_set() and (left := until - self._clock.now().boot) > 0:
            self._tell(trouble, because)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, self._plan.poll_seconds)):
                    await self._wake.wait()

    def _tell(self, trouble: Trouble, because: str) -> None:
        self._on_fact(GpuReport(at=self._clock.now().boot, source=GpuSource.NVML, trouble=trouble, because=because))
