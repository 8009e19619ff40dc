"""Builds the parts of one daemon and connects them; starts nothing.

The parts know each other only as functions. Facts fan out to whoever absorbs them, evidence goes from the pipeline to
the runner, orders from the runner to the adapter and the relays. Whoever speaks is built before whoever listens: a
fan-out lets listeners join later, so that no circle needs a name before it exists.
"""

from __future__ import annotations

import random  # noqa: TID251 - the one generator of the process is made here and handed down
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from secrets import token_bytes
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from watchtower.adapters.adapter_child import AdapterChild
from watchtower.adapters.calls import setup
from watchtower.canaries.canaries import Canaries
from watchtower.daemon.display import DaemonDisplay
from watchtower.daemon.fanout import Fanout
from watchtower.daemon.parts import Parts
from watchtower.exporters.gpu_metrics import GpuCollector
from watchtower.exporters.prometheus import BoardCollector
from watchtower.ports import Clock, Encoder, Recorder
from watchtower.remediation.interface import BypassSeen
from watchtower.scoring.choosing import NoEncoder, chosen
from watchtower.scoring.embeddings_server import EmbeddingsServer
from watchtower.scoring.scorer_child import ScorerChild
from watchtower.services.curing.journaling import JournaledSteps
from watchtower.services.curing.runner import Runner
from watchtower.services.curing.tally import IncidentTally
from watchtower.services.delivering.deliveries import Deliveries
from watchtower.services.delivering.recipients import audience, make_sinks
from watchtower.services.judging.baseline_learning import BaselineLearner, baseline_learner
from watchtower.services.judging.heartbeat import Heartbeat
from watchtower.services.judging.pipeline import Pipeline
from watchtower.services.loading import Loaded
from watchtower.services.meaning.answer_judge import AnswerJudge
from watchtower.services.meaning.archive import Archive, open_archive
from watchtower.services.meaning.circumstances import Circumstances
from watchtower.services.meaning.live_samples import Samples
from watchtower.services.meaning.reference_service import ReferenceService
from watchtower.services.persisting.state_directory import Storage, supervised
from watchtower.services.relaying.bypassing import Bypassing
from watchtower.services.relaying.relay_pool import RelayPool
from watchtower.services.relaying.relay_roster import RelayRoster
from watchtower.services.relaying.relay_traffic import RelayTraffic
from watchtower.services.relaying.unknown_finish import UnknownFinish
from watchtower.services.watching.contact_book import ContactBook
from watchtower.services.watching.engine_sight import EngineSight
from watchtower.services.watching.gpu_polling import GpuPolling
from watchtower.services.watching.readiness import Readiness
from watchtower.services.watching.serving_watch import ServingWatch
from watchtower.settings import Settings
from watchtower.storage.baseline_file import BaselineFile
from watchtower.storage.recording import NullRecorder, SegmentRecorder, forget
from watchtower.storage.reference_sets import ReferenceStore
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import BadInput, Problem
from watchtower.vocabulary.facts import AnyFact
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.records import Entry
from watchtower.vocabulary.samples import KEY_BYTES, ExchangeSampled, SampleOrder
from watchtower.windows.windows import Windows

if TYPE_CHECKING:
    from watchtower.exporters.telemetry import Telemetry

BASELINE = "baseline.json"
"""File of how slow the engine is at which load."""
SAMPLES = "samples.baseline"
"""File of the numbers that today's answers to users are compared with."""


async def build(
    loaded: Loaded, storage: Storage, display: DaemonDisplay, clock: Clock, tasks: TaskGroup, stack: AsyncExitStack
) -> Parts:
    """Whatever must be ended is put on ``stack``. Raises BadInput for what a person must mend."""
    return await _Builder(loaded, loaded.settings, storage, display, clock, tasks, stack).parts()


@dataclass(frozen=True)
class _Builder:
    """What every part may need, and the fan-outs that connect them."""

    loaded: Loaded
    settings: Settings
    storage: Storage
    display: DaemonDisplay
    clock: Clock
    tasks: TaskGroup
    stack: AsyncExitStack
    facts: Fanout[AnyFact] = field(default_factory=Fanout)
    samples: Fanout[ExchangeSampled] = field(default_factory=Fanout)
    wishes: Fanout[str] = field(default_factory=Fanout)

    async def parts(self) -> Parts:
        settings, clock = self.settings, self.clock
        telemetry, recorder = self._telemetry(), self._recorder()
        adapter, relays = self._adapter(), self._relays()
        roster, sight, tally, contacts = RelayRoster(), EngineSight(), IncidentTally(), ContactBook()
        canaries = Canaries(settings.canary, clock=clock, send=adapter.canary, on_fact=self.facts.publish)
        encoder = chosen(settings.scoring, clock)
        self.stack.push_async_callback(encoder.close)
        traffic = RelayTraffic(frames=roster.frames, clock=clock, settings=settings.relay.hold, order=relays.order)
        runner = await self._runner(adapter, traffic, tally, telemetry, recorder)
        windows = Windows(self.loaded.window_settings())
        learner = self._learner(runner)
        pipeline = self._pipeline(windows, learner, runner)
        circumstances = Circumstances(
            incident=lambda: runner.state.incident, verdicts=lambda: pipeline.verdicts, engine=lambda: sight.newest
        )
        archive = open_archive(settings.samples.keep, self.storage.directory, clock) if self.storage.lease else None
        samples = self._samples(encoder, circumstances, relays.sample, archive)
        references = self._references(adapter, encoder, circumstances, samples, archive)
        self.wishes.subscribe(canaries.wish, references.wish)
        self.samples.subscribe(samples.take)
        self.facts.subscribe(pipeline.on_fact, roster.absorb, sight.absorb, contacts.absorb, references.demand.absorb)
        self.facts.subscribe(UnknownFinish().absorb)
        self.facts.subscribe(lambda fact: recorder.append(fact.at, fact))
        if telemetry:
            self.facts.subscribe(telemetry.fact)
        return Parts(
            tasks=self.tasks,
            facts=self.facts,
            adapter=adapter,
            relays=relays,
            roster=roster,
            sight=sight,
            gpus=GpuPolling(settings, clock, self.facts.publish),
            canaries=canaries,
            contacts=contacts,
            readiness=Readiness(roster.frames, lambda: sight.newest),
            serving=ServingWatch(
                clock,
                engine=lambda: sight.newest,
                contacts=contacts,
                verdicts=lambda: pipeline.verdicts,
                frames=roster.frames,
                send=relays.serving,
            ),
            bypassing=Bypassing(
                self.storage.directory, clock, roster.frames, lambda seen: runner.submit(BypassSeen(seen))
            ),
            windows=windows,
            learner=learner,
            pipeline=pipeline,
            heartbeat=Heartbeat(clock, settings.tick_seconds),
            encoder=encoder,
            references=references,
            samples=samples,
            archive=archive,
            runner=runner,
            tally=tally,
            deliveries=self._deliveries(),
            telemetry=telemetry,
            recorder=recorder,
        )

    # ── seeing ──────────────────────────────────────────────────────────────────────────────────

    def _adapter(self) -> AdapterChild:
        settings, limits = self.settings, self.settings.remediation
        supervisor = supervised(settings, self.storage)
        adapter = AdapterChild(
            setup(settings.engine, supervisor, str(self.storage.directory), settings.canary.prompt),
            self.clock,
            observe_seconds=limits.observe_seconds,
            execute_seconds=limits.execute_seconds,
            reload_seconds=limits.reload_seconds,
            checkpoint_seconds=limits.checkpoint_deadline_seconds,
        )
        self.stack.push_async_callback(adapter.close)
        return adapter

    def _relays(self) -> RelayPool:
        return RelayPool(
            self.settings.relay,
            self.settings.engine.url,
            self.storage.directory,
            self.facts.publish,
            self.clock,
            on_sample=self.samples.publish,
        )

    # ── judging and curing ──────────────────────────────────────────────────────────────────────

    def _learner(self, runner: Runner) -> BaselineLearner:
        engine = self.settings.engine
        return baseline_learner(
            engine.model or engine.url,
            self.loaded.load_settings(),
            incident_open=lambda: runner.state.incident is not None,
            file=BaselineFile(self.storage.directory / BASELINE) if self.storage.lease else None,
        )

    def _pipeline(self, windows: Windows, learner: BaselineLearner, runner: Runner) -> Pipeline:
        return Pipeline(
            settings=self.settings,
            rules=self.loaded.rules,
            windows=windows,
            learner=learner,
            clock=self.clock,
            submit=runner.submit,
            lease_held=self.storage.lease_held,
            publish=self.facts.publish,
        )

    async def _runner(
        self,
        adapter: AdapterChild,
        traffic: RelayTraffic,
        tally: IncidentTally,
        telemetry: Telemetry | None,
        recorder: Recorder,
    ) -> Runner:
        def on_entries(entries: Sequence[Entry], now: Instant) -> None:
            tally.count(entries)
            for entry in entries:
                recorder.append(now.boot, entry)
            if telemetry:
                for entry in entries:
                    telemetry.traces.entry(entry, now)

        return Runner(
            self.storage.state,
            limits=self.settings.remediation,
            capabilities=await adapter.capabilities(),
            clock=self.clock,
            memory=JournaledSteps(self.storage.journal, partial(audience, self.settings), on_entries),
            traffic=traffic,
            hands=adapter,
            send_canary=self.wishes.publish,
            spawn=lambda name, make: self.tasks.start(name, make, restart_after=None),
            on_commit=self.display.after_commit,
        )

    # ── meaning ─────────────────────────────────────────────────────────────────────────────────

    def _samples(
        self,
        encoder: Encoder,
        circumstances: Circumstances,
        order: Callable[[SampleOrder], None],
        archive: Archive | None,
    ) -> Samples:
        return Samples(
            self.settings.samples,
            clock=self.clock,
            encoder=encoder,
            judge=AnswerJudge(encoder, self.clock, self.settings.references.minimum_answers),
            circumstances=circumstances,
            order=order,
            on_fact=self.facts.publish,
            file=BaselineFile(self.storage.directory / SAMPLES) if self.storage.lease else None,
            fresh_key=partial(token_bytes, KEY_BYTES),
            plain=self.settings.references.template == "plain",
            archive=archive,
        )

    def _references(
        self,
        adapter: AdapterChild,
        encoder: ScorerChild | EmbeddingsServer | NoEncoder,
        circumstances: Circumstances,
        samples: Samples,
        archive: Archive | None,
    ) -> ReferenceService:
        def need_encoder() -> None:
            if not self.tasks.running("scorer"):  # torch costs memory: nobody pays for it before there are references
                # where nothing has to be kept alive it returns
                self.tasks.start("scorer", encoder.run, eternal=False)

        return ReferenceService(
            self.settings,
            clock=self.clock,
            ask=adapter.ask,
            encoder=encoder,
            need_encoder=need_encoder,
            store=ReferenceStore(self.storage.directory) if self.storage.lease else None,
            circumstances=circumstances,
            tasks=self.tasks,
            on_fact=self.facts.publish,
            on_adopted=samples.adopt,
            archive=archive,
        )

    # ── telling ─────────────────────────────────────────────────────────────────────────────────

    def _deliveries(self) -> Deliveries:
        sinks = make_sinks(self.settings, self.clock)
        for sink in sinks:
            self.stack.push_async_callback(sink.close)
        return Deliveries(self.storage.journal, sinks, self.clock, random.Random().random)  # noqa: S311 - jitter

    def _recorder(self) -> SegmentRecorder | NullRecorder:
        """Turned off, nothing stays of what an earlier run recorded."""
        if self.storage.lease is None:
            return NullRecorder()
        total_bytes = self.settings.recording.total_bytes
        if not total_bytes:
            forget(self.storage.directory)
            return NullRecorder()
        recorder = SegmentRecorder(self.storage.directory, total_bytes, self.clock)
        self.stack.push_async_callback(recorder.close)
        return recorder

    def _telemetry(self) -> Telemetry | None:
        """Raises BadInput when it is wanted and its libraries are not installed."""
        settings, board = self.settings, self.display.board
        if not settings.telemetry.otlp.endpoint:
            return None
        try:
            from watchtower.exporters.telemetry import Telemetry
        except ImportError as problem:
            cure = "pip install 'watchtower-sidecar[otlp]', or leave endpoint empty"
            what = "OpenTelemetry is not installed"
            raise BadInput([Problem("configuration", "telemetry.otlp.endpoint", what, cure)]) from problem
        url = urlsplit(settings.engine.url)
        engine: dict[str, str | int] = {"provider": settings.engine.kind, "address": url.hostname or url.path}
        if url.port:
            engine["port"] = url.port
        collectors = [BoardCollector(board), GpuCollector(board)]
        return Telemetry(settings.telemetry.otlp, board, collectors, self.clock, engine)
