"""The relay workers of one target: found or started, kept alive, told what to do.

Workers outlive the daemon. A new one takes over those it finds (their lock says that they live, their handover socket
gives the listening socket) and replaces only those whose plan differs from the configuration, on the same listening
socket. A worker that falls silent loses its place to another on that socket, and keeps its connections. Whoever can
still leave is asked to, and only who stands still is killed, by pidfd, so that a reused pid is never hit.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import structlog

from watchtower.children.counts import Counts
from watchtower.children.outliving import OutlivingProcess
from watchtower.children.policy.backoff import Backoff
from watchtower.children.respawning import respawn
from watchtower.ports import Clock
from watchtower.scheduling import put_first
from watchtower.services.relaying.admission import Admission
from watchtower.services.relaying.finding import FoundWorkers, find_workers
from watchtower.services.relaying.watched_worker import LOOK_SECONDS, WatchedWorker
from watchtower.services.relaying.worker_channel import OnFact, OnSample, RelayFact, WorkerChannel
from watchtower.services.relaying.worker_plans import WorkerPlans
from watchtower.services.relaying.worker_slot import WorkerSlot
from watchtower.settings import RelaySettings
from watchtower.taps.handover import RETIRE
from watchtower.taps.listening import bound, inherited, name_of
from watchtower.taps.relay_plan import RelayPlan
from watchtower.taps.socket_addresses import Address, bad
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import BadInput
from watchtower.vocabulary.facts import RelayEnded, RelayHello, RelayOrder, ServingOrder
from watchtower.vocabulary.samples import SampleOrder

BACKOFF: Final = Backoff(first_seconds=0.2, longest_seconds=5.0, steady_seconds=30.0)
LATE_SECONDS: Final = 5.0
"""A worker that leaves so much later than its own deadline is killed."""
MOST_SILENT: Final = 2
"""Silent workers that may live beside each present one. If more fall silent, the cause is not in them."""

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
        self._on_fact = on_fact
        self._admission = Admission(run_directory, upstream)
        self._channel = WorkerChannel(clock, self._take, on_sample, self._admission.refusal)
        self.address = ""
        """``host:port`` that clients connect to; known after ``start``."""
        self._tasks = TaskGroup(clock.sleep)
        self._listening: socket.socket | None = None
        self._slots: list[WorkerSlot] = []
        self._silent: list[WatchedWorker] = []
        """They lost their place, or never had one under this daemon. They keep their connections."""
        self.counts = Counts()

    @property
    def skipped(self) -> Counter[str]:
        """Messages by name that only a newer worker knows, and orders that only a newer daemon does."""
        return self._channel.skipped

    @property
    def refused(self) -> int:
        """Processes that called themselves a relay worker of ours and are none."""
        return self._channel.refused

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
        self._admission.leaving |= found.leaving
        self._silent += [WatchedWorker(number, process) for number, process in found.silent.items()]
        try:
            self._listening = await self._take_socket(found, address)
            self._plans.refuse_to_meet_itself(self._listening)
        except BaseException:
            if self._listening is not None:
                self._listening.close()
            await self._channel.close()
            raise
        self.address = self._admission.listening = name_of(self._listening)
        for process in found.adopted.values():
            put_first(process.pid)
        adopted = [WatchedWorker(number, process) for number, process in sorted(found.adopted.items())]
        for place in range(self._plans.workers):
            slot = WorkerSlot(place, self._clock, self._start_worker, adopted[place] if place < len(adopted) else None)
            self._slots.append(slot)
        for slot in self._slots:
            self._tasks.start(slot.name, partial(respawn, slot, BACKOFF, self._clock))
        self._tasks.start("relay watch", self._watch)

    async def stop(self, leave_running: bool) -> None:
        """Let go of the workers; with ``leave_running=False`` ask them to leave and wait until they have."""
        await self._tasks.stop()
        living = [slot.worker.process for slot in self._slots if slot.worker is not None]
        living += [worker.process for worker in self._silent]
        self._slots.clear()
        self._silent.clear()
        if not leave_running:
            for process in living:
                process.ask_to_leave()
            within = self._plans.drain_seconds + LATE_SECONDS
            await asyncio.gather(*(process.left(within) for process in living))
        for process in living:
            process.let_go()
        await self._channel.close()
        if self._listening is not None:
            self._listening.close()

    async def _take_socket(self, found: FoundWorkers, address: Address) -> socket.socket:
        """Found, passed to us, or made. Raises BadInput when the address is taken, but for one that a silent worker of
        ours still holds: it is waited for until it leaves or is ended, because nobody serves meanwhile."""
        kept = found.inherit(self._plans.listen) or inherited(os.environ, os.getpid())
        while kept is None:
            try:
                kept = bound(address)
            except BadInput:
                if not self._silent:
                    raise
                await self._clock.sleep(LOOK_SECONDS)
                self._look(LOOK_SECONDS)
        return kept

    def _take(self, fact: RelayFact) -> None:
        if isinstance(fact, RelayHello):
            for slot in self._slots:
                if slot.worker is not None and slot.worker.process.pid == fact.pid:
                    slot.worker.heard = True
        self._on_fact(fact)

    def _start_worker(self, reads: bool) -> WatchedWorker:
        """With the lowest number that no living worker of ours has. Raises OSError."""
        present = [slot.worker for slot in self._slots if slot.worker is not None]
        taken = {worker.number for worker in (*present, *self._silent)}
        number = next(number for number in range(len(taken) + 1) if number not in taken)
        assert self._listening is not None
        plan = self._plans.of(number, self._listening.fileno(), forward_only=not reads)
        return WatchedWorker(number, _spawn(plan, self.counts), reads=reads)

    # ── silence ─────────────────────────────────────────────────────────────────────────────────

    async def _watch(self) -> None:
        looked = self._clock.now().boot
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            now = self._clock.now().boot
            self._look(now - looked)
            looked = now

    def _look(self, passed_seconds: float) -> None:
        """At every worker, once; act on what has lasted for too long."""
        spoke = self._channel.heard()
        for worker in list(self._silent):
            worker.look(passed_seconds, spoke=worker.process.pid in spoke)
            if worker.process.ended:
                worker.process.reap()
                self._silent.remove(worker)
            elif worker.stuck and not worker.ending:
                self._end(worker)
        for slot in self._slots:
            if slot.worker is not None:
                slot.worker.look(passed_seconds, spoke=slot.worker.process.pid in spoke)
                if slot.worker.overdue and len(self._silent) < MOST_SILENT * len(self._slots):
                    self._silent.append(self._displaced(slot.worker))
                    slot.vacate()

    def _displaced(self, worker: WatchedWorker) -> WatchedWorker:
        """It keeps its connections, and leaves with the last of them once it comes round."""
        log.error(
            "relay worker is silent: another takes its place",
            worker=worker.number,
            pid=worker.process.pid,
            silent_seconds=worker.silent_seconds,
        )
        self._admission.leaving.add(worker.process.pid)
        if worker.process.catches(RETIRE):
            worker.process.ask_to_leave(RETIRE)
        return worker

    def _end(self, worker: WatchedWorker) -> None:
        log.error("relay worker stood still and is ended", worker=worker.number, pid=worker.process.pid)
        self._on_fact(RelayEnded(at=self._clock.now().boot, worker=worker.number, pid=worker.process.pid))
        self.counts.kills += 1
        worker.ending = True
        worker.process.kill()


def _spawn(plan: RelayPlan, counts: Counts) -> OutlivingProcess:
    """Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    output = os.open(Path(plan.run_directory) / f"relay-{plan.worker}.log", flags, 0o600)
    try:
        program = (sys.executable, "-m", "watchtower.programs.relay", msgspec.json.encode(plan).decode())
        process = OutlivingProcess.spawn(program, counts, output=output, inherited=[plan.listen_fd])
    finally:
        os.close(output)
    put_first(process.pid)
    log.info("relay worker started", worker=plan.worker, pid=process.pid)
    return process
