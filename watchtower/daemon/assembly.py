"""One daemon from start to stop: parts built, started in order, ended in reverse. Decides nothing.

Everything that a person must mend (a second daemon, a taken port, a path too long) is found before any process is
started, so that a refused start leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import AsyncExitStack, suppress
from functools import partial

import structlog

from watchtower.adapters.supervisor.owning import owner_of
from watchtower.canaries.schedule import Schedule
from watchtower.clock import SystemClock
from watchtower.daemon.building import build
from watchtower.daemon.display import DaemonDisplay
from watchtower.daemon.faces import face
from watchtower.daemon.parts import Parts
from watchtower.daemon.service_manager import ServiceManager
from watchtower.ports import Owner
from watchtower.remediation.interface import Started
from watchtower.services.curing.journaling import report_fault
from watchtower.services.delivering.deliveries import past_notices
from watchtower.services.loading import Loaded
from watchtower.services.persisting.state_directory import Storage, open_storage, supervised
from watchtower.services.relaying.starting import start_relays
from watchtower.services.watching.looks import observe, scrape
from watchtower.services.watching.owner_watch import keep_owner
from watchtower.storage.recording import SegmentRecorder
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import ExitCode, StorageFault
from watchtower.web.listeners import Server, bind_tcp, bind_unix, make_server

log = structlog.get_logger("watchtower.daemon")

SOCKET_NAME = "watchtower.sock"
BASELINE_SECONDS = 5.0
"""How often the learned baseline is saved: a daemon that is killed loses this much of it."""
SAMPLES_SECONDS = 60.0
"""The same for the samples of answers to users."""
FORGET_SECONDS = 30.0
"""How late kept text may be overwritten after its end."""
COMPACT_SECONDS = 3600.0


class Daemon:
    """One run. ``run()`` returns the exit code after SIGTERM or SIGINT."""

    def __init__(self, loaded: Loaded, *, own_everything: bool = False) -> None:
        """``own_everything``: engine and relay end with the daemon, too."""
        self._loaded = loaded
        self._settings = loaded.settings
        self._own_everything = own_everything
        self._clock = SystemClock()
        self._tasks = TaskGroup(self._clock.sleep)
        self._manager = ServiceManager(os.environ)
        self._display = DaemonDisplay(self._settings, self._clock)

    async def run(self) -> int:
        """Raises BadInput and Refused before anything is started."""
        stop = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        async with AsyncExitStack() as stack:
            storage = open_storage(self._settings, stack)
            tcp = bind_tcp(self._settings.web.listen)
            stack.callback(tcp.close)
            local = bind_unix(storage.directory / SOCKET_NAME)
            stack.callback((storage.directory / SOCKET_NAME).unlink, missing_ok=True)
            parts = await build(self._loaded, storage, self._display, self._clock, self._tasks, stack)
            await self._serve(stack, stop, storage, parts, tcp, local)
        return ExitCode.OK

    async def _serve(
        self,
        stack: AsyncExitStack,
        stop: asyncio.Event,
        storage: Storage,
        parts: Parts,
        tcp: socket.socket,
        local: socket.socket,
    ) -> None:
        """From the first process started to the last one left behind."""
        self._display.after_commit(storage.state)
        parts.runner.submit(Started(storage.fault))
        stack.push_async_callback(parts.relays.stop, leave_running=True)
        await start_relays(parts.relays, remembered=storage.lease is not None)
        self._display.after_listen(parts.relays.address)
        owner = owner_of(supervised(self._settings, storage), storage.directory)
        await self._start_engine(stack, owner)
        if self._own_everything or storage.lease is None:  # a worker that no later daemon could find must not stay
            stack.push_async_callback(parts.relays.stop, leave_running=False)
        schedule = self._schedule(stack, storage, parts)
        stack.push_async_callback(self._tasks.stop)
        servers = self._start_faces(storage, parts, tcp, local)
        self._start_eyes(owner, parts)
        parts.deliveries.start(self._tasks, await past_notices(storage.journal))
        if parts.telemetry:
            stack.callback(parts.telemetry.close)
            self._tasks.start("telemetry", parts.telemetry.run)
        self._start_judgement(stack, storage, parts)
        schedule.start()
        self._manager.ready()
        log.info("running", target=self._settings.target, mode=self._settings.remediation.mode.value)
        await stop.wait()
        self._manager.leaving()
        log.info("stopping", engine_and_relay="end too" if self._own_everything else "go on")
        for server in servers:
            server.should_exit = True

    # ── in the order of the start ───────────────────────────────────────────────────────────────

    async def _start_engine(self, stack: AsyncExitStack, owner: Owner) -> None:
        """Raises NotReachable when whoever owns the engine could not be started."""
        stack.push_async_callback(owner.close, self._own_everything)
        await owner.ensure(self._clock.now())

    def _schedule(self, stack: AsyncExitStack, storage: Storage, parts: Parts) -> Schedule:
        schedule = Schedule()
        stack.callback(schedule.stop)
        schedule.every(self._settings.canary.every_seconds, "canary", lambda: parts.canaries.wish("regular"))
        schedule.every(self._settings.references.every_seconds, "references", parts.references.regular)

        async def compact() -> None:
            with suppress(StorageFault):  # latched in the journal, and told at the next tick
                await storage.journal.compact(self._clock.now())

        schedule.every(COMPACT_SECONDS, "compact", compact)
        if storage.lease:
            parts.learner.restore()
            stack.callback(parts.learner.save)
            schedule.every(BASELINE_SECONDS, "baseline", parts.learner.save)
            if parts.archive:
                schedule.every(FORGET_SECONDS, "archive", parts.archive.forget)
            stack.callback(parts.samples.save)
            schedule.every(SAMPLES_SECONDS, "samples", parts.samples.save)
        return schedule

    def _start_faces(self, storage: Storage, parts: Parts, tcp: socket.socket, local: socket.socket) -> list[Server]:
        servers = []
        for name, listening in (("web", tcp), ("control", local)):
            app = face(
                self._settings.web,
                display=self._display,
                clock=self._clock,
                journal=storage.journal,
                parts=parts,
                local=listening is local,
            )
            server = make_server(app)
            self._tasks.start(name, partial(server.serve, [listening]), eternal=False)  # asked to end before us
            servers.append(server)
        return servers

    def _start_eyes(self, owner: Owner, parts: Parts) -> None:
        """What looks at the engine, and what keeps alive whoever can cure it."""
        engine, clock, tasks = self._settings.engine, self._clock, self._tasks
        tasks.start("canaries", parts.canaries.run)
        parts.references.start()
        tasks.start("samples", parts.samples.run)
        tasks.start("bypass", parts.bypassing.run)
        tasks.start("serving", parts.serving.run)
        if isinstance(parts.recorder, SegmentRecorder):
            tasks.start("recording", parts.recorder.run)
        tasks.start("owner", lambda: keep_owner(owner, clock))
        tasks.start("observe", lambda: observe(parts.adapter, parts.facts.publish, clock, engine.observe_seconds))
        tasks.start("scrape", lambda: scrape(parts.adapter, parts.facts.publish, clock, engine.scrape_seconds))

    def _start_judgement(self, stack: AsyncExitStack, storage: Storage, parts: Parts) -> None:
        """The machine, the GPUs, and the tick that judges what all eyes saw."""
        parts.gpus.start(self._tasks, stack)

        def evaluate() -> None:
            self._manager.alive()
            report_fault(storage.journal, parts.runner.state, parts.runner.submit)
            self._display.after_tick(parts.pipeline.tick(), parts)

        self._tasks.start("remediation", parts.runner.run, restart_after=0.5)
        self._tasks.start("tick", lambda: parts.heartbeat.run(evaluate))
