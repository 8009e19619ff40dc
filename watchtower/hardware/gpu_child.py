"""The daemon's side of the gpu child: reports keep coming, whatever becomes of the child.

A child that says nothing, or whose driver does not return for long, is killed and replaced. One that even SIGKILL does
not end (state D: inside the driver) is abandoned: counted, reported as wedged, and not replaced until it is gone,
because a second one would only hang beside it. Releasing the GPUs means ending the child: nothing else surely leaves
no handle open, and a GPU can only be reset when nobody holds one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress

import msgspec
import structlog

from watchtower.children.child_process import ChildProcess, kill_group
from watchtower.children.counts import Counts
from watchtower.children.policy.backoff import Backoff
from watchtower.children.policy.patience import Patience
from watchtower.children.policy.restart import Exit, ExitKind
from watchtower.children.respawning import respawn
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
BACKOFF = Backoff(first_seconds=1.0, longest_seconds=60.0, steady_seconds=60.0)

log = structlog.get_logger("watchtower.hardware.gpu_child")


class GpuChild:
    """``run`` keeps a child alive; ``release`` and ``acquire`` say whether there may be one."""

    event = "gpu child gone"

    def __init__(
        self,
        plan: GpuPlan,
        clock: Clock,
        on_fact: Callable[[GpuReport], None],
        *,
        silent_seconds: float = 10.0,
        wedged_seconds: float = 120.0,
        stop_seconds: float = STOP_SECONDS,
        kill_seconds: float = KILL_SECONDS,
        backoff: Backoff = BACKOFF,
        program: tuple[str, ...] = (sys.executable, "-m", "watchtower.programs.gpu"),
        environment: dict[str, str] | None = None,
        kill: Callable[[int], None] = kill_group,
    ) -> None:
        """``silent_seconds``: no sign of life for so long ends a child; ``wedged_seconds``: neither may it be inside
        the driver for longer. ``environment`` replaces ours; ``kill`` ends a process group by its id."""
        self._plan = plan
        self._clock = clock
        self._on_fact = on_fact
        self._patience = Patience(start_seconds=START_SECONDS, silent_seconds=silent_seconds)
        self._wedged_seconds = wedged_seconds
        self._stop_seconds = stop_seconds
        self._kill_seconds = kill_seconds
        self._backoff = backoff
        self._program = program
        self._environment = environment
        self._kill = kill
        self._counts = Counts()
        self._child: ChildProcess | None = None
        self._released_until = 0.0
        self._closed = False
        self._wake = asyncio.Event()
        """Set when what we say in the child's place is no longer true."""
        self._gone = asyncio.Event()
        """Set while there is no child, nor one about to be."""
        self._gone.set()
        self._stuck = False
        """SIGKILL has been sent and does not help."""

    @property
    def kills(self) -> int:
        """Children killed for silence, garbage, or a driver that did not return."""
        return self._counts.kills

    @property
    def abandoned(self) -> int:
        """Children that SIGKILL did not end in time."""
        return self._counts.abandoned

    @property
    def labels(self) -> dict[str, int]:
        """For the log."""
        return {"kills": self.kills, "abandoned": self.abandoned}

    @property
    def pid(self) -> int:
        """0 while there is no child."""
        return self._child.pid if self._child else 0

    @property
    def up(self) -> bool:
        """A child runs and is not stuck in the driver."""
        return self._child is not None and not self._stuck

    async def run(self) -> None:
        """Keep a child running until closed."""
        await respawn(self, self._backoff, self._clock)

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

    async def live(self) -> Exit:
        """Start one child, hand on what it says, reap it; while the GPUs are released, say that instead."""
        if self._closed:
            return Exit(ExitKind.FINAL)
        released = self._released_until - self._clock.now().boot
        if released > 0:
            await self._report_instead(Trouble.RELEASED, "NVML was let go of on request", released)
            return Exit(ExitKind.AGAIN)
        self._gone.clear()
        status: int | None = None
        try:
            self._child = child = await self._started()
            if self._unwanted():  # a release or our end came while it was starting
                _ask_to_stop(child)
            await self._listen(child)
            status = await self._reaped(child)
            self._child = None
            because = child.gone or f"the gpu child ended with status {status}"
        except OSError as problem:
            because = f"the gpu child cannot be started: {problem.strerror}"
        finally:
            if self._child is None:
                self._gone.set()
            else:  # cancelled
                self._child.kill()
        return Exit(ExitKind.AGAIN if status == AGAIN or self._unwanted() else ExitKind.FAILED, because)

    async def pause(self, ended: Exit, seconds: float) -> None:
        await self._report_instead(Trouble.FAULT, f"{ended.because}; the next one starts in {seconds:g} s", seconds)

    async def _started(self) -> ChildProcess:
        """Raises OSError."""
        return await ChildProcess.spawn(
            (*self._program, msgspec.json.encode(self._plan).decode()),
            self._patience,
            self._counts,
            environment=self._environment,
            line_bytes=LINE_BYTES,
            kill=self._kill,
        )

    def _unwanted(self) -> bool:
        return self._closed or self._clock.now().boot < self._released_until

    async def _listen(self, child: ChildProcess) -> None:
        """Hand on its reports until it ends, or has to be given up."""
        decode = msgspec.json.Decoder(GpuReport).decode
        wedged_since: float | None = None
        while True:
            try:
                line = await child.heard(child.output.readline())
                if not line:
                    return None
                child.mark_ready()
                report = decode(line) if line.strip() else None
            except TimeoutError:
                return child.give_up(f"the gpu child gave no sign of life for {child.patience_seconds:g} s")
            except (ValueError, msgspec.MsgspecError):  # ValueError: a line beyond the limit
                return child.give_up("the gpu child wrote garbage")
            if report is None:
                continue
            self._on_fact(report)
            if report.trouble is not Trouble.DRIVER_WEDGED:
                wedged_since = None
            elif wedged_since is None:
                wedged_since = report.at
            elif report.at - wedged_since > self._wedged_seconds:
                return child.give_up(f"the driver did not return for {self._wedged_seconds:g} s")

    async def _reaped(self, child: ChildProcess) -> int:
        """Its exit status, once it is gone; while the kernel cannot end it, the GPUs are reported as wedged."""
        if not await child.end(self._stop_seconds, self._kill_seconds):
            self._stuck = True
            log.error("gpu child cannot be killed: stuck in the driver", pid=child.pid)
            while not self._closed:
                self._report(Trouble.DRIVER_WEDGED, f"the gpu child {child.pid} is stuck in the driver: SIGKILL waits")
                if await child.ended(self._plan.poll_seconds):
                    break
            self._stuck = child.status is None
        return -1 if child.status is None else child.status

    async def _end(self) -> bool:
        """Ask the child to end, then make it; whether it is gone. Gives up where even that does not help."""
        child = self._child
        if child is not None:
            _ask_to_stop(child)
        for seconds in () if self._stuck else (self._stop_seconds, self._kill_seconds):
            if child is not None:
                if await child.ended(seconds):
                    return True
                child.kill()
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        return await self._gone.wait()
        return self._gone.is_set()

    async def _report_instead(self, trouble: Trouble, because: str, seconds: float) -> None:
        """Report in the child's place, as often as it would, for so long or until that is no longer true."""
        self._wake.clear()
        until = self._clock.now().boot + seconds
        while not self._closed and not self._wake.is_set() and (left := until - self._clock.now().boot) > 0:
            self._report(trouble, because)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, self._plan.poll_seconds)):
                    await self._wake.wait()

    def _report(self, trouble: Trouble, because: str) -> None:
        self._on_fact(GpuReport(at=self._clock.now().boot, source=GpuSource.NVML, trouble=trouble, because=because))


def _ask_to_stop(child: ChildProcess) -> None:
    child.write(STOP + b"\n")
