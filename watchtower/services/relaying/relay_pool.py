"""The relay workers of one target: found or started, kept alive, told what to do.

Workers outlive the daemon. A new one takes over those it finds (their lock says that they live, their handover socket
gives the listening socket) and replaces only those whose plan differs from the configuration, on the same listening
socket. It never kills what it can ask to leave, and it names processes by pidfd, so a reused pid is never hit.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import structlog

from watchtower.children.counts import Counts
from watchtower.children.outliving import OutlivingProcess
from watchtower.children.policy.backoff import Backoff
from watchtower.children.policy.restart import Exit, ExitKind
from watchtower.children.respawning import respawn
from watchtower.ports import Clock
from watchtower.services.relaying.finding import find_workers
from watchtower.services.relaying.worker_channel import OnFact, OnSample, WorkerChannel
from watchtower.services.relaying.worker_plans import WorkerPlans
from watchtower.settings import RelaySettings
from watchtower.taps.listening import bound, inherited, name_of
from watchtower.taps.socket_addresses import bad
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.facts import RelayOrder, ServingOrder
from watchtower.vocabulary.samples import SampleOrder

BACKOFF: Final = Backoff(first_seconds=0.2, longest_seconds=5.0, steady_seconds=30.0)
STUCK_SECONDS: Final = 5.0
"""A worker that leaves so much later than its own deadline is stuck."""

log = structlog.get_logger("watchtower.relays")


class RelayPool:
    """All relay workers of one target."""

    def __init__(
        self,
        settings: RelaySettings,
        upstream: str,
        run_directory: Path,
        on_fact: OnFact,
        clock: Clock,
        *,
        drain_seconds: float = 30.0,
        on_sample: OnSample = lambda sample: None,
    ) -> None:
        """``drain_seconds``: how long a worker that was told to leave may let open answers end. ``on_sample`` gets the
        samples that ``sample`` ordered: they hold text, so they are no facts and go nowhere else."""
        self._plans = WorkerPlans(settings, upstream, run_directory, drain_seconds)
        self._clock = clock
        self._channel = WorkerChannel(clock, on_fact, on_sample)
        self.address = ""
        """``host:port`` that clients connect to; known after ``start``."""
        self._tasks = TaskGroup(clock.sleep)
        self._listening: socket.socket | None = None
        self._slots: list[WorkerSlot] = []
        self.counts = Counts()

    @property
    def skipped(self) -> Counter[str]:
        """Messages by name that only a newer worker knows, and orders that only a newer daemon does."""
        return self._channel.skipped

    def order(self, order: RelayOrder) -> None:
        """Tell every worker, and every one that connects later while a hold lives."""
        self._channel.order(order)

    def sample(self, order: SampleOrder) -> None:
        """Every worker, also one that connects later, takes samples like this from now on."""
        self._channel.sample(order)

    def serving(self, order: ServingOrder) -> None:
        """Every worker that knows how answers ``/-/serving`` like this until the order lapses."""
        self._channel.serving(order)

    async def start(self) -> None:
        """Raises BadInput: listen address bad or taken, upstream unusable, run directory unusable."""
        address = self._plans.check()
        directory = self._plans.directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            await self._channel.open(self._plans.facts)
        except OSError as exc:
            what = f"{directory} cannot be used: {(exc.strerror or 'unknown error').lower()}"
            raise bad("state_directory", what, "make it a directory that this user may write to") from exc
        found = find_workers(self._plans)
        try:
            kept = found.inherit(self._plans.listen)
            self._listening = kept or inherited(os.environ, os.getpid()) or bound(address)
        except BaseException:
            await self._channel.close()
            raise
        self.address = name_of(self._listening)
        spawn = partial(_spawn, self._plans, self._listening.fileno(), self.counts)
        for number in range(self._plans.workers):
            slot = WorkerSlot(number, self._clock, spawn, found.adopted.get(number))
            self._slots.append(slot)
            self._tasks.start(slot.name, partial(respawn, slot, BACKOFF, self._clock))

    async def stop(self, leave_running: bool) -> None:
        """Let go of the workers; with ``leave_running=False`` ask them to leave and wait until they have."""
        await self._tasks.stop()
        living = [slot.process for slot in self._slots if slot.process is not None]
        self._slots.clear()
        if not leave_running:
            for process in living:
                process.ask_to_leave()
            within = self._plans.drain_seconds + STUCK_SECONDS
            await asyncio.gather(*(process.left(within) for process in living))
        for process in living:
            process.let_go()
        await self._channel.close()
        if self._listening is not None:
            self._listening.close()


class WorkerSlot:
    """The place of worker ``number``: whoever has it is replaced when it dies."""

    event = "relay worker died"

    def __init__(
        self,
        number: int,
        clock: Clock,
        spawn: Callable[[int], OutlivingProcess],
        adopted: OutlivingProcess | None,
    ) -> None:
        self.name = f"relay worker {number}"
        self.labels: dict[str, int | None] = {"worker": number, "exit_status": None}
        self.process = adopted
        self._number = number
        self._clock = clock
        self._spawn = spawn

    async def live(self) -> Exit:
        if self.process is None:
            self.process = self._spawn(self._number)
        await self.process.exited()
        status, self.process = self.process.reap(), None
        self.labels["exit_status"] = status
        return Exit(ExitKind.FAILED, "it was adopted and died" if status is None else f"it ended with status {status}")

    async def pause(self, ended: Exit, seconds: float) -> None:
        await self._clock.sleep(seconds)


def _spawn(plans: WorkerPlans, listening: int, counts: Counts, number: int) -> OutlivingProcess:
    """Raises OSError."""
    plan = msgspec.json.encode(plans.of(number, listening)).decode()
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    output = os.open(plans.directory / f"relay-{number}.log", flags, 0o600)
    try:
        program = (sys.executable, "-m", "watchtower.programs.relay", plan)
        process = OutlivingProcess.spawn(program, counts, output=output, inherited=[listening])
    finally:
        os.close(output)
    log.info("relay worker started", worker=number, pid=process.pid)
    return process
