"""The rooms of one daemon, each with the doors it needs. Builds them; starts nothing but what must answer at once.

The rooms know each other only as functions. Facts flow from relays, adapter, canaries and hardware into the pipeline,
evidence from the pipeline into the runner, orders from the runner to the adapter and the relays. That is a circle, so
its first door, ``on_fact``, is bound to the pipeline last.
"""

from __future__ import annotations

import random  # noqa: TID251 - the one generator of the process is made here and handed down
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from secrets import token_bytes
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from watchtower.adapters.adapter_child import AdapterChild
from watchtower.adapters.calls import setup
from watchtower.board import Board
from watchtower.canaries.canaries import Canaries
from watchtower.daemon.accounts import count_entries
from watchtower.daemon.publishing import publish
from watchtower.daemon.state_directory import Storage
from watchtower.detectors.load_explains_latency import LoadExplainsLatency
from watchtower.exporters.gpu_metrics import GpuCollector
from watchtower.exporters.prometheus import BoardCollector
from watchtower.knobs import SupervisorSettings
from watchtower.ports import Clock, Encoder, Recorder
from watchtower.scoring.choosing import chosen
from watchtower.services.curing.journaling import JournaledSteps
from watchtower.services.curing.runner import Runner
from watchtower.services.delivering.deliveries import Deliveries
from watchtower.services.delivering.recipients import audience, make_sinks
from watchtower.services.judging.pipeline import Pipeline
from watchtower.services.loading import Loaded
from watchtower.services.meaning.answer_judge import AnswerJudge
from watchtower.services.meaning.archive import Archive, open_archive
from watchtower.services.meaning.live_samples import Samples
from watchtower.services.meaning.reference_service import ReferenceService
from watchtower.services.relaying.relay_pool import RelayPool
from watchtower.services.relaying.relay_traffic import RelayTraffic
from watchtower.settings import Settings
from watchtower.storage.baseline_file import BaselineFile
from watchtower.storage.recording import NullRecorder, SegmentRecorder, forget
from watchtower.storage.reference_sets import ReferenceStore
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import BadInput, Problem
from watchtower.vocabulary.facts import AnyFact
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.records import Entry
from watchtower.vocabulary.samples import KEY_BYTES, ExchangeSampled
from watchtower.windows.windows import Windows

if TYPE_CHECKING:
    from watchtower.exporters.telemetry import Telemetry

SAMPLES = "samples.baseline"
"""File of the numbers that today's answers to users are compared with."""


@dataclass(frozen=True)
class Rooms:
    """Everything that sees, decides, acts and tells."""

    adapter: AdapterChild
    relays: RelayPool
    canaries: Canaries
    encoder: Encoder
    meaning: ReferenceService
    samples: Samples
    archive: Archive | None
    load: LoadExplainsLatency
    windows: Windows
    pipeline: Pipeline
    runner: Runner
    deliveries: Deliveries
    telemetry: Telemetry | None
    recorder: SegmentRecorder | NullRecorder


async def build(
    loaded: Loaded, storage: Storage, board: Board, clock: Clock, tasks: TaskGroup, stack: AsyncExitStack
) -> Rooms:
    """Whatever must be ended is put on ``stack``. Raises BadInput for what a person must mend."""
    settings = loaded.settings
    telemetry = _telemetry(settings, board, clock)
    adapter = _adapter(settings, storage, clock)
    stack.push_async_callback(adapter.close)

    def on_fact(fact: AnyFact) -> None:
        pipeline.on_fact(fact)

    def on_sample(sample: ExchangeSampled) -> None:
        samples.take(sample)

    relays = RelayPool(settings.relay, settings.engine.url, storage.directory, on_fact, clock, on_sample=on_sample)
    canaries = Canaries(settings.canary, clock=clock, send=adapter.canary, on_fact=on_fact)
    encoder = chosen(settings.scoring, clock)
    stack.push_async_callback(encoder.close)

    def need_encoder() -> None:
        if not tasks.running("scorer"):  # torch costs memory: nobody pays for it before there are references
            tasks.start("scorer", encoder.run, eternal=False)  # where nothing has to be kept alive it returns

    archive = open_archive(settings.samples.keep, storage.directory, clock) if storage.lease else None
    samples = Samples(
        settings.samples,
        clock=clock,
        encoder=encoder,
        judge=AnswerJudge(encoder, clock, settings.references.minimum_answers),
        board=board,
        order=relays.sample,
        on_fact=on_fact,
        file=BaselineFile(storage.directory / SAMPLES) if storage.lease else None,
        fresh_key=partial(token_bytes, KEY_BYTES),
        plain=settings.references.template == "plain",
        archive=archive,
    )
    meaning = ReferenceService(
        settings,
        clock=clock,
        ask=adapter.ask,
        encoder=encoder,
        need_encoder=need_encoder,
        store=ReferenceStore(storage.directory) if storage.lease else None,
        board=board,
        tasks=tasks,
        on_fact=on_fact,
        on_adopted=samples.adopt,
        archive=archive,
    )

    def send_canary(why: str) -> None:
        canaries.wish(why)
        meaning.wish(why)

    def watch(fact: AnyFact) -> None:
        recorder.append(fact.at, fact)
        meaning.demand.absorb(fact)
        if telemetry:
            telemetry.fact(fact)

    recorder = _recorder(settings, storage, clock, tasks, stack)
    deliveries = _deliveries(settings, storage, clock, stack)
    runner = Runner(
        storage.state,
        limits=settings.remediation,
        capabilities=await adapter.capabilities(),
        clock=clock,
        memory=JournaledSteps(storage.journal, partial(audience, settings), _committed(board, telemetry, recorder)),
        traffic=RelayTraffic(board=board, clock=clock, settings=settings.relay.hold, order=relays.order),
        hands=adapter,
        send_canary=send_canary,
        spawn=lambda name, make: tasks.start(name, make, restart_after=None),
        on_commit=lambda state: publish(board, state),
    )
    load = LoadExplainsLatency(settings.engine.model or settings.engine.url, loaded.load_settings())
    windows = Windows(loaded.window_settings())
    pipeline: Pipeline = Pipeline(
        settings=settings,
        rules=loaded.rules,
        windows=windows,
        load=load,
        clock=clock,
        board=board,
        submit=runner.submit,
        lease_held=storage.lease_held,
        watch=watch,
    )
    return Rooms(
        adapter,
        relays,
        canaries,
        encoder,
        meaning,
        samples,
        archive,
        load,
        windows,
        pipeline,
        runner,
        deliveries,
        telemetry,
        recorder,
    )


def supervised(settings: Settings, storage: Storage) -> SupervisorSettings:
    """Without a state directory nothing could be remembered about an engine: then we only look on."""
    return settings.supervisor if storage.lease else SupervisorSettings()


def _adapter(settings: Settings, storage: Storage, clock: Clock) -> AdapterChild:
    limits = settings.remediation
    return AdapterChild(
        setup(settings.engine, supervised(settings, storage), str(storage.directory), settings.canary.prompt),
        clock,
        observe_seconds=limits.observe_seconds,
        execute_seconds=limits.execute_seconds,
        reload_seconds=limits.reload_seconds,
        checkpoint_seconds=limits.checkpoint_deadline_seconds,
    )


def _deliveries(settings: Settings, storage: Storage, clock: Clock, stack: AsyncExitStack) -> Deliveries:
    sinks = make_sinks(settings, clock)
    for sink in sinks:
        stack.push_async_callback(sink.close)
    return Deliveries(storage.journal, sinks, clock, random.Random().random)  # noqa: S311 - jitter, no secret


def _recorder(
    settings: Settings, storage: Storage, clock: Clock, tasks: TaskGroup, stack: AsyncExitStack
) -> SegmentRecorder | NullRecorder:
    if storage.lease is None:
        return NullRecorder()
    if not settings.recording.total_bytes:
        forget(storage.directory)
        return NullRecorder()
    recorder = SegmentRecorder(storage.directory, settings.recording.total_bytes, clock)
    stack.push_async_callback(recorder.close)
    tasks.start("recording", recorder.run)
    return recorder


def _committed(
    board: Board, telemetry: Telemetry | None, recorder: Recorder
) -> Callable[[Sequence[Entry], Instant], None]:
    def on_entries(entries: Sequence[Entry], now: Instant) -> None:
        count_entries(board, entries)
        for entry in entries:
            recorder.append(now.boot, entry)
        if telemetry:
            for entry in entries:
                telemetry.traces.entry(entry, now)

    return on_entries


def _telemetry(settings: Settings, board: Board, clock: Clock) -> Telemetry | None:
    """Raises BadInput when it is wanted and its libraries are not installed."""
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
    return Telemetry(settings.telemetry.otlp, board, [BoardCollector(board), GpuCollector(board)], clock, engine)
