"""Puts one daemon together: one small function per room, start in order, stop in reverse. Decides nothing."""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - the one generator of the process is made here and handed down
import signal
import tempfile
from pathlib import Path
from typing import Any

import structlog

from watchtower import __version__
from watchtower.adapters.calls import setup
from watchtower.adapters.child import AdapterChild
from watchtower.adapters.keeper.launching import ensure_keeper
from watchtower.adapters.supervisor.process import ProcessSupervisor, keeper_plan
from watchtower.board import Board
from watchtower.canaries.canaries import Canaries
from watchtower.canaries.schedule import Schedule
from watchtower.clock import SystemClock
from watchtower.daemon.deliveries import Deliveries
from watchtower.daemon.loading import Loaded
from watchtower.daemon.memory import JournalMemory
from watchtower.daemon.pipeline import Pipeline
from watchtower.daemon.publishing import publish
from watchtower.daemon.relays import Relays
from watchtower.daemon.traffic import RelayTraffic
from watchtower.detectors.load import LoadExplainsLatency, LoadSettings
from watchtower.exporters.prometheus import BoardCollector, Exposition
from watchtower.ports import Clock, Sink
from watchtower.remediation.events import Commanded, Started
from watchtower.remediation.runner import Runner
from watchtower.remediation.state import TargetState, decode
from watchtower.settings import EvidenceSettings, LogSinkSettings, SinkSettings, SupervisorKind, SupervisorSettings
from watchtower.sinks.log import LogSink
from watchtower.sinks.webhook import WebhookSink
from watchtower.storage.baseline import BaselineFile
from watchtower.storage.journal import Journal, MemoryJournal
from watchtower.storage.lease import Lease
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import ExitCode, StorageFault
from watchtower.vocabulary.facts import AnyFact
from watchtower.web.application import application
from watchtower.web.server import bind_tcp, bind_unix, make_server
from watchtower.windows.knobs import WindowSettings
from watchtower.windows.windows import Windows

log = structlog.get_logger("watchtower.daemon")

SOCKET_NAME = "watchtower.sock"
BASELINE_SECONDS = 5.0
"""How often the learned baseline is saved: a daemon that is killed loses this much of it."""
HEARTBEAT_TICKS = 5
"""The loop counts as dead when no tick has happened for this many tick periods (and at least 10 s)."""


class Daemon:
    """One run. ``run()`` returns the exit code after SIGTERM or SIGINT."""

    def __init__(self, loaded: Loaded, *, own_everything: bool = False) -> None:
        self._loaded = loaded
        self._settings = loaded.settings
        self._own_everything = own_everything
        self._clock = SystemClock()
        self._stop = asyncio.Event()
        self._tasks = TaskGroup(self._clock.sleep)
        settings = self._settings
        self.board = Board(
            target=settings.target,
            version=__version__,
            mode=settings.remediation.mode.value,
            profile=settings.remediation.profile,
            started=self._clock.now(),
            relay_listening=settings.relay.listen,
        )

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._stop.set)
        # Whatever a person must mend comes first: nothing is started when an address is taken.
        tcp = bind_tcp(self._settings.web.listen)
        lease, journal, fault = self._open_storage()
        directory = self._settings.state_directory if lease else Path(tempfile.mkdtemp(prefix="watchtower-"))
        try:
            return await self._run(tcp, lease, journal, fault, directory)
        finally:
            await journal.close()
            if lease:
                lease.release()

    async def _run(self, tcp: Any, lease: Lease | None, journal: Journal, fault: str, directory: Path) -> int:
        settings, board, clock = self._settings, self.board, self._clock
        state, fault = self._recover(journal, fault)
        board.storage_fault = fault
        with_keeper = settings.supervisor.kind is SupervisorKind.PROCESS and lease is not None
        if with_keeper:
            await self._start_engine(directory)

        supervisor = settings.supervisor if lease else SupervisorSettings()
        adapter = AdapterChild(
            setup(settings.engine, supervisor, str(directory), settings.canary.prompt),
            clock,
            observe_seconds=settings.remediation.observe_seconds,
            execute_seconds=settings.remediation.execute_seconds,
        )
        sinks = [make_sink(sink, clock) for sink in settings.sinks]
        memory = JournalMemory(journal, [sink.name for sink in sinks])

        def on_fact(fact: AnyFact) -> None:
            pipeline.on_fact(fact)

        relays = Relays(settings.relay, settings.engine.url, directory, on_fact, clock)
        canaries = Canaries(settings.canary, clock=clock, send=adapter.canary, on_fact=on_fact)
        runner = Runner(
            state,
            limits=settings.remediation,
            capabilities=await adapter.capabilities(),
            clock=clock,
            memory=memory,
            traffic=RelayTraffic(board=board, clock=clock, settings=settings.relay.hold, order=relays.order),
            hands=adapter,
            send_canary=canaries.wish,
            spawn=lambda name, make: self._tasks.start(name, make, restart_after=None),
            on_commit=lambda state: publish(board, state),
        )
        load = LoadExplainsLatency(settings.engine.model or settings.engine.url, _load_settings(settings.evidence))
        baseline = BaselineFile(directory / "baseline.json")
        if (stored := baseline.read()) and (because := load.load(stored)):
            log.warning("baseline.refused", because=because)
        pipeline: Pipeline = Pipeline(
            settings=settings,
            rules=self._loaded.rules,
            windows=Windows(self._window_settings()),
            load=load,
            clock=clock,
            board=board,
            submit=runner.submit,
            lease_held=lambda: lease is not None and lease.held(),
        )
        publish(board, state)
        deliveries = Deliveries(journal, sinks, clock, random.Random().random)  # noqa: S311 - jitter, no secret
        schedule = Schedule()
        schedule.every(settings.canary.every_seconds, "canary", lambda: canaries.wish("regular"))
        if lease:
            schedule.every(BASELINE_SECONDS, "baseline", lambda: baseline.write(load.dump()))

        async def timeline(incident: str) -> list[dict[str, Any]]:
            stored = await journal.read(incident=incident, limit=500)
            return [
                {"seq": row.seq, "wall": row.wall, "kind": row.kind, "op_id": row.op_id, "body": row.body}
                for row in stored
            ]

        server = make_server(
            application(
                board=board,
                clock=clock,
                settings=settings.web,
                render_metrics=Exposition([BoardCollector(board)]).render,
                timeline=timeline,
                submit=lambda verb, author, reason, seconds: runner.submit(
                    Commanded(verb=verb, author=author, reason=reason, seconds=seconds)
                ),
                healthy=self._healthy,
            )
        )
        sockets = [tcp, bind_unix(directory / SOCKET_NAME)]

        runner.submit(Started(fault))
        await relays.start()
        board.relay_listening = relays.address
        tasks = self._tasks
        tasks.start("web", lambda: server.serve(sockets))
        tasks.start("remediation", runner.run, restart_after=0.5)
        tasks.start("canaries", canaries.run)
        tasks.start("observe", lambda: self._observe(adapter, pipeline))
        tasks.start("scrape", lambda: self._scrape(adapter, pipeline))
        deliveries.start(tasks)
        tasks.start("tick", lambda: self._tick(pipeline, canaries, deliveries, runner, adapter))
        schedule.start()
        log.info("running", target=settings.target, mode=settings.remediation.mode.value)

        await self._stop.wait()
        log.info("stopping", leave_running=not self._own_everything)
        schedule.stop()
        if lease:
            baseline.write(load.dump())
        server.should_exit = True
        await relays.stop(leave_running=not self._own_everything)
        await self._tasks.stop()
        await adapter.close()
        if with_keeper and self._own_everything:
            await asyncio.to_thread(ProcessSupervisor(settings.supervisor, directory).stop)
        (directory / SOCKET_NAME).unlink(missing_ok=True)
        return ExitCode.OK

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

    async def _start_engine(self, directory: Path) -> None:
        plan = keeper_plan(directory, self._settings.supervisor)
        found = await asyncio.to_thread(ensure_keeper, plan)
        log.info("keeper", found=type(found).__name__)
        confirmed = await asyncio.to_thread(ProcessSupervisor(self._settings.supervisor, directory).start)
        log.info("engine", started=confirmed.yes)

    def _window_settings(self) -> WindowSettings:
        settings, evidence = self._settings, self._settings.evidence
        slowest = max((rule.over for rule in self._loaded.rules.rules), default=60.0)
        return WindowSettings(
            minimum_tokens=evidence.minimum_tokens,
            minimum_requests=evidence.minimum_requests,
            minimum_clusters=evidence.minimum_clusters,
            relay_lag_seconds=evidence.relay_lag_seconds,
            warmup_requests=settings.remediation.warmup_requests,
            warmup_seconds=settings.remediation.warmup_seconds,
            longest_window_seconds=max(300.0, slowest),
        )

    async def _observe(self, adapter: AdapterChild, pipeline: Pipeline) -> None:
        while True:
            pipeline.on_fact(await adapter.observe())
            await self._clock.sleep(self._settings.engine.observe_seconds)

    async def _scrape(self, adapter: AdapterChild, pipeline: Pipeline) -> None:
        while True:
            pipeline.on_fact(await adapter.scrape())
            await self._clock.sleep(self._settings.engine.scrape_seconds)

    async def _tick(
        self, pipeline: Pipeline, canaries: Canaries, deliveries: Deliveries, runner: Runner, adapter: AdapterChild
    ) -> None:
        period = self._settings.tick_seconds
        due = self._clock.now().boot
        while True:
            pipeline.tick()
            board = self.board
            board.canaries = dict(canaries.outcomes)
            board.outbox = deliveries.counters()
            board.counters = {
                "machine_events_dropped": runner.dropped,
                "adapter_kills": adapter.kills,
                **{f"task_failures_{name.split(' ')[0]}": count for name, count in self._tasks.failures.items()},
            }
            board.ready_because = self._not_ready()
            due = max(due + period, self._clock.now().boot - period)
            await self._clock.sleep(due - self._clock.now().boot)

    def _not_ready(self) -> str:
        """Ready: we can see the traffic's path and know who runs. Not: nothing is wrong."""
        if not self.board.relay_frames:
            return "no relay worker has reported yet"
        if self.board.engine is None:
            return "the adapter has not looked yet"
        return ""

    def _healthy(self) -> str:
        last = self.board.last_tick
        since = self._clock.now().boot - (last or self.board.started).boot
        allowed = max(10.0, HEARTBEAT_TICKS * self._settings.tick_seconds)
        return "" if since < allowed else f"no evaluation for {since:.0f} s"


def make_sink(settings: SinkSettings, clock: Clock) -> Sink:
    """Raises BadInput when what the sink needs is not there."""
    return LogSink(settings) if isinstance(settings, LogSinkSettings) else WebhookSink(settings, clock)


def _load_settings(evidence: EvidenceSettings) -> LoadSettings:
    return LoadSettings(
        minimum_blocks=evidence.baseline_blocks,
        block_seconds=evidence.baseline_block_seconds,
        quarantine_seconds=evidence.baseline_quarantine_seconds,
    )
