"""Puts one daemon together: one small function per room, start in order, stop in reverse. Decides nothing.

Everything that a person must mend (a second daemon, a taken port, a path too long) is found before any process is
started, so that a refused start leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import os
import random  # noqa: TID251 - the one generator of the process is made here and handed down
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from starlette.applications import Starlette

from watchtower import __version__
from watchtower.adapters.calls import setup
from watchtower.adapters.child import AdapterChild
from watchtower.adapters.keeper.launching import KeeperFound, ensure_keeper
from watchtower.adapters.supervisor.process import ProcessSupervisor, keeper_plan
from watchtower.board import Board
from watchtower.canaries.canaries import Canaries
from watchtower.canaries.schedule import Schedule
from watchtower.clock import SystemClock
from watchtower.daemon.accounts import count_entries, sink_health
from watchtower.daemon.deliveries import Deliveries, told
from watchtower.daemon.hardware import start_hardware
from watchtower.daemon.judging import AnswerJudge
from watchtower.daemon.loading import Loaded
from watchtower.daemon.meaning import Meaning
from watchtower.daemon.memory import JournalMemory
from watchtower.daemon.notifying import ServiceManager
from watchtower.daemon.pipeline import Pipeline
from watchtower.daemon.publishing import publish
from watchtower.daemon.relays import Relays
from watchtower.daemon.sampling import Samples
from watchtower.daemon.sinks import make_sinks
from watchtower.daemon.supervision import Heartbeat, keep_keeper, observe, scrape, tick
from watchtower.daemon.traffic import RelayTraffic
from watchtower.detectors.load import LoadExplainsLatency
from watchtower.exporters.gpus import GpuCollector
from watchtower.exporters.prometheus import PROCESS, BoardCollector, Exposition
from watchtower.remediation.events import Commanded, Started, StorageFailed
from watchtower.remediation.runner import Runner
from watchtower.remediation.state import TargetState, decode
from watchtower.scoring.choosing import chosen
from watchtower.settings import SupervisorKind, SupervisorSettings
from watchtower.storage.baseline import BaselineFile
from watchtower.storage.journal import Journal, MemoryJournal
from watchtower.storage.lease import Lease
from watchtower.storage.outbox import MOST_ROWS
from watchtower.storage.references import ReferenceStore
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import BadInput, ExitCode, Problem, StorageFault
from watchtower.vocabulary.facts import AnyFact
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.records import Entry
from watchtower.vocabulary.samples import KEY_BYTES, ExchangeSampled
from watchtower.web.application import application
from watchtower.web.server import bind_tcp, bind_unix, make_server
from watchtower.windows.windows import Windows

if TYPE_CHECKING:
    from watchtower.exporters.telemetry import Telemetry

log = structlog.get_logger("watchtower.daemon")

SOCKET_NAME = "watchtower.sock"
BASELINE_SECONDS = 5.0
"""How often the learned baseline is saved: a daemon that is killed loses this much of it."""
SAMPLES_SECONDS = 60.0
"""How often the samples that live answers are compared with are saved."""
COMPACT_SECONDS = 3600.0
MOST_RECORDS = 5000
"""Of one incident, shown at once."""


class Daemon:
    """One run. ``run()`` returns the exit code after SIGTERM or SIGINT."""

    def __init__(self, loaded: Loaded, *, own_everything: bool = False) -> None:
        self._loaded = loaded
        self._settings = loaded.settings
        self._own_everything = own_everything
        self._clock = SystemClock()
        self._tasks = TaskGroup(self._clock.sleep)
        self._manager = ServiceManager(os.environ)
        self.board = Board(
            target=self._settings.target,
            version=__version__,
            mode=self._settings.remediation.mode.value,
            profile=self._settings.remediation.profile,
            started=self._clock.now(),
        )

    async def run(self) -> int:
        """Raises BadInput and Refused before anything is started."""
        stop = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        async with AsyncExitStack() as stack:
            lease, journal, fault = self._open_storage()
            stack.push_async_callback(journal.close)
            if lease:
                stack.callback(lease.release)
            tcp = bind_tcp(self._settings.web.listen)
            stack.callback(tcp.close)
            await self._run(stack, stop, tcp, lease, journal, fault)
        return ExitCode.OK

    async def _run(
        self,
        stack: AsyncExitStack,
        stop: asyncio.Event,
        tcp: socket.socket,
        lease: Lease | None,
        journal: Journal,
        fault: str,
    ) -> None:
        settings, board, clock, tasks = self._settings, self.board, self._clock, self._tasks
        telemetry = self._telemetry()
        directory = settings.state_directory if lease else self._makeshift_directory(stack)
        state, fault = self._recover(journal, fault)
        # without a state directory nothing could be remembered about an engine: then we only look on
        supervisor = settings.supervisor if lease else SupervisorSettings()
        local = bind_unix(directory / SOCKET_NAME)
        stack.callback((directory / SOCKET_NAME).unlink, missing_ok=True)
        adapter = AdapterChild(
            setup(settings.engine, supervisor, str(directory), settings.canary.prompt),
            clock,
            observe_seconds=settings.remediation.observe_seconds,
            execute_seconds=settings.remediation.execute_seconds,
            reload_seconds=settings.remediation.reload_seconds,
            checkpoint_seconds=settings.remediation.checkpoint_deadline_seconds,
        )
        stack.push_async_callback(adapter.close)

        def on_fact(fact: AnyFact) -> None:
            pipeline.on_fact(fact)

        def on_entries(entries: Sequence[Entry], now: Instant) -> None:
            count_entries(board, entries)
            if telemetry:
                for entry in entries:
                    telemetry.traces.entry(entry, now)

        def on_sample(sample: ExchangeSampled) -> None:
            samples.take(sample)

        relays = Relays(settings.relay, settings.engine.url, directory, on_fact, clock, on_sample=on_sample)
        canaries = Canaries(settings.canary, clock=clock, send=adapter.canary, on_fact=on_fact)
        encoder = chosen(settings.scoring, clock)
        stack.push_async_callback(encoder.close)

        def need_encoder() -> None:
            if not tasks.running("scorer"):  # torch costs memory: nobody pays for it before there are references
                tasks.start("scorer", encoder.run)

        samples = Samples(
            settings.samples,
            clock=clock,
            encoder=encoder,
            judge=AnswerJudge(encoder, clock, settings.references.minimum_answers),
            board=board,
            order=relays.sample,
            on_fact=on_fact,
            file=BaselineFile(directory / "samples.baseline") if lease else None,
            fresh_key=partial(secrets.token_bytes, KEY_BYTES),
            plain=settings.references.template == "plain",
        )
        meaning = Meaning(
            settings,
            clock=clock,
            ask=adapter.ask,
            encoder=encoder,
            need_encoder=need_encoder,
            store=ReferenceStore(directory) if lease else None,
            board=board,
            tasks=tasks,
            on_fact=on_fact,
            on_adopted=samples.adopt,
        )

        def send_canary(why: str) -> None:
            canaries.wish(why)
            meaning.wish(why)

        deliveries = self._deliveries(stack, journal)
        memory = JournalMemory(journal, list(deliveries.lines), on_entries)
        runner = Runner(
            state,
            limits=settings.remediation,
            capabilities=await adapter.capabilities(),
            clock=clock,
            memory=memory,
            traffic=RelayTraffic(board=board, clock=clock, settings=settings.relay.hold, order=relays.order),
            hands=adapter,
            send_canary=send_canary,
            spawn=lambda name, make: tasks.start(name, make, restart_after=None),
            on_commit=lambda state: publish(board, state),
        )
        load = LoadExplainsLatency(settings.engine.model or settings.engine.url, self._loaded.load_settings())
        windows = Windows(self._loaded.window_settings())
        pipeline: Pipeline = Pipeline(
            settings=settings,
            rules=self._loaded.rules,
            windows=windows,
            load=load,
            clock=clock,
            board=board,
            submit=runner.submit,
            lease_held=lambda: lease is not None and lease.held(),
            watch=meaning.demand.absorb,
        )
        heartbeat = Heartbeat(board, clock, settings.tick_seconds)
        faces = {
            "web": (make_server(self._application(journal, runner, heartbeat, meaning, local=False)), tcp),
            "control": (make_server(self._application(journal, runner, heartbeat, meaning, local=True)), local),
        }

        def counters() -> dict[str, float]:
            return {
                "machine_events_dropped": runner.dropped,
                "adapter_kills": adapter.kills,
                "gpu_kills": hardware.child.kills if hardware and hardware.child else 0,
                "gpu_abandoned": hardware.child.abandoned if hardware and hardware.child else 0,
                "task_failures": sum(tasks.failures.values()),
                "facts_refused": windows.refused,
                "facts_ignored": windows.ignored,
                "telemetry_dropped": telemetry.spans.dropped if telemetry else 0,
            }

        def refresh() -> None:
            self._manager.alive()
            board.canaries = dict(canaries.outcomes)
            board.references |= meaning.counts()
            board.samples = samples.counted()
            board.outbox = deliveries.counters()
            board.counters = counters()
            board.sinks = sink_health(deliveries.lines)
            board.queues = {
                "machine": (runner.events_waiting.qsize(), runner.events_waiting.maxsize),
                "outbox": (int(board.outbox["pending"]), MOST_ROWS),
            }
            board.children = {"adapter": adapter.up}
            if telemetry:
                board.queues["telemetry"] = (len(telemetry.spans.waiting), telemetry.spans.capacity)
            if hardware and hardware.child:
                board.children["gpu"] = hardware.child.up
            if journal.fault and not runner.state.storage_fault:
                runner.submit(StorageFailed(journal.fault))

        publish(board, state)
        runner.submit(Started(fault))
        await self._start_relays(stack, relays, remembered=lease is not None)
        if supervisor.kind is SupervisorKind.PROCESS:
            await self._start_engine(stack, directory)
        if self._own_everything or lease is None:  # a worker that no later daemon could find must not stay
            stack.push_async_callback(relays.stop, leave_running=False)
        schedule = self._schedule(stack, canaries, meaning, load, journal, directory if lease else None)
        stack.callback(samples.save)
        schedule.every(SAMPLES_SECONDS, "samples", samples.save)
        stack.push_async_callback(tasks.stop)
        for name, (server, sock) in faces.items():
            tasks.start(name, partial(server.serve, [sock]))
        tasks.start("remediation", runner.run, restart_after=0.5)
        tasks.start("canaries", canaries.run)
        meaning.start()
        tasks.start("samples", samples.run)
        if supervisor.kind is SupervisorKind.PROCESS:
            tasks.start("keeper", lambda: keep_keeper(keeper_plan(directory, supervisor), clock))
        tasks.start("observe", lambda: observe(adapter, pipeline, clock, settings.engine.observe_seconds))
        hardware = start_hardware(settings, clock, pipeline.on_fact, tasks, stack)
        tasks.start("scrape", lambda: scrape(adapter, pipeline, clock, settings.engine.scrape_seconds))
        deliveries.start(tasks, await told(journal))
        if telemetry:
            stack.callback(telemetry.close)
            tasks.start("telemetry", telemetry.run)
        tasks.start("tick", lambda: tick(pipeline, refresh, heartbeat, clock, settings.tick_seconds))
        schedule.start()
        self._manager.ready()
        log.info("running", target=settings.target, mode=settings.remediation.mode.value)
        await stop.wait()
        self._manager.leaving()
        log.info("stopping", engine_and_relay="end too" if self._own_everything else "go on")
        for server, _ in faces.values():
            server.should_exit = True

    # ── one small function a room ───────────────────────────────────────────────────────────────

    def _open_storage(self) -> tuple[Lease | None, Journal, str]:
        """Raises Refused when another daemon holds the lease. Any fault of the disk means: observe in memory."""
        try:
            lease = Lease.take(self._settings.state_directory)
        except StorageFault as problem:
            return None, MemoryJournal(str(problem)), str(problem)
        journal, fault = Journal.open(self._settings.state_directory)
        return lease, journal or MemoryJournal(fault), fault

    def _recover(self, journal: Journal, fault: str) -> tuple[TargetState, str]:
        snapshot = journal.latest_snapshot()
        if snapshot is None:
            return TargetState(target=self._settings.target), fault
        try:
            return decode(snapshot), fault
        except StorageFault as problem:
            return TargetState(target=self._settings.target), str(problem)

    def _makeshift_directory(self, stack: AsyncExitStack) -> Path:
        try:
            directory = Path(tempfile.mkdtemp(prefix="watchtower-"))
        except OSError as problem:
            what = f"{self._settings.state_directory} is unusable, and there is no temporary directory either"
            cure = "make it a directory that this user may write to"
            raise BadInput([Problem("configuration", "state_directory", what, cure)]) from problem
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        return directory

    async def _start_relays(self, stack: AsyncExitStack, relays: Relays, *, remembered: bool) -> None:
        """Raises BadInput when clients cannot be listened for. Without a state directory a taken port may be our own
        earlier worker, which then cannot be found: people still have to be told, so the daemon goes on, blind."""
        stack.push_async_callback(relays.stop, leave_running=True)
        try:
            await relays.start()
        except BadInput as problem:
            if remembered:
                raise
            log.error("relay.not_started", because=str(problem))
        self.board.relay_listening = relays.address

    async def _start_engine(self, stack: AsyncExitStack, directory: Path) -> None:
        """Raises NotReachable when no keeper could be started."""
        supervisor = ProcessSupervisor(self._settings.supervisor, directory)
        keeper = await asyncio.to_thread(ensure_keeper, keeper_plan(directory, self._settings.supervisor))
        log.info("keeper", pid=keeper.pid, found=isinstance(keeper, KeeperFound))
        if isinstance(keeper, KeeperFound) and not keeper.same_plan:
            log.warning("keeper.other_plan", cure="its engine keeps the command line it was started with until it ends")
        if self._own_everything:
            stack.push_async_callback(asyncio.to_thread, supervisor.stop)
        confirmed = await asyncio.to_thread(supervisor.start)
        if not confirmed.yes:
            log.error("engine.not_started", because=confirmed.because)

    def _telemetry(self) -> Telemetry | None:
        """Raises BadInput when it is wanted and its libraries are not installed."""
        if not self._settings.telemetry.otlp.endpoint:
            return None
        try:
            from watchtower.exporters.telemetry import Telemetry
        except ImportError as problem:
            cure = "pip install 'watchtower-sidecar[otlp]', or leave endpoint empty"
            what = "OpenTelemetry is not installed"
            raise BadInput([Problem("configuration", "telemetry.otlp.endpoint", what, cure)]) from problem
        collectors = [BoardCollector(self.board), GpuCollector(self.board)]
        return Telemetry(self._settings.telemetry.otlp, self.board, collectors, self._clock)

    def _deliveries(self, stack: AsyncExitStack, journal: Journal) -> Deliveries:
        sinks = make_sinks(self._settings, self._clock)
        for sink in sinks:
            stack.push_async_callback(sink.close)
        return Deliveries(journal, sinks, self._clock, random.Random().random)  # noqa: S311 - jitter, no secret

    def _schedule(
        self,
        stack: AsyncExitStack,
        canaries: Canaries,
        meaning: Meaning,
        load: LoadExplainsLatency,
        journal: Journal,
        directory: Path | None,
    ) -> Schedule:
        schedule = Schedule()
        stack.callback(schedule.stop)
        schedule.every(self._settings.canary.every_seconds, "canary", lambda: canaries.wish("regular"))
        schedule.every(self._settings.references.every_seconds, "references", meaning.regular)

        async def compact() -> None:
            with suppress(StorageFault):  # latched in the journal, and told at the next tick
                await journal.compact(self._clock.now())

        schedule.every(COMPACT_SECONDS, "compact", compact)
        if directory is not None:
            baseline = BaselineFile(directory / "baseline.json")
            if (stored := baseline.read()) and (because := load.load(stored)):
                log.warning("baseline.refused", because=because)
            stack.callback(lambda: baseline.write(load.dump()))
            schedule.every(BASELINE_SECONDS, "baseline", lambda: baseline.write(load.dump()))
        return schedule

    def _application(
        self, journal: Journal, runner: Runner, heartbeat: Heartbeat, meaning: Meaning, *, local: bool
    ) -> Starlette:
        async def timeline(incident: str) -> list[dict[str, Any]]:
            return [
                {"seq": row.seq, "wall": row.wall, "kind": row.kind, "op_id": row.op_id, "body": row.body}
                for row in await journal.read(incident=incident, limit=MOST_RECORDS)
            ]

        async def command(verb: str, author: str, reason: str, seconds: float) -> str:
            return await runner.command(Commanded(verb=verb, author=author, reason=reason, seconds=seconds))

        return application(
            board=self.board,
            clock=self._clock,
            settings=self._settings.web,
            render_metrics=Exposition([BoardCollector(self.board), GpuCollector(self.board), PROCESS]).render,
            timeline=timeline,
            command=command,
            healthy=heartbeat.because,
            references=meaning,
            local=local,
        )
