"""The parts of one daemon, each named once: what building makes, assembly starts and the display copies from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchtower.adapters.adapter_child import AdapterChild
from watchtower.canaries.canaries import Canaries
from watchtower.daemon.fanout import Fanout
from watchtower.ports import Encoder
from watchtower.services.curing.runner import Runner
from watchtower.services.curing.tally import IncidentTally
from watchtower.services.delivering.deliveries import Deliveries
from watchtower.services.judging.baseline_learning import BaselineLearner
from watchtower.services.judging.heartbeat import Heartbeat
from watchtower.services.judging.pipeline import Pipeline
from watchtower.services.meaning.archive import Archive
from watchtower.services.meaning.live_samples import Samples
from watchtower.services.meaning.reference_service import ReferenceService
from watchtower.services.relaying.bypassing import Bypassing
from watchtower.services.relaying.relay_pool import RelayPool
from watchtower.services.relaying.relay_roster import RelayRoster
from watchtower.services.watching.contact_book import ContactBook
from watchtower.services.watching.engine_sight import EngineSight
from watchtower.services.watching.gpu_polling import GpuPolling
from watchtower.services.watching.readiness import Readiness
from watchtower.services.watching.serving_watch import ServingWatch
from watchtower.storage.recording import NullRecorder, SegmentRecorder
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.facts import AnyFact
from watchtower.windows.windows import Windows

if TYPE_CHECKING:
    from watchtower.exporters.telemetry import Telemetry


@dataclass(frozen=True)
class Parts:
    """Everything that sees, judges, cures and delivers."""

    tasks: TaskGroup
    facts: Fanout[AnyFact]
    # seeing
    adapter: AdapterChild
    relays: RelayPool
    roster: RelayRoster
    sight: EngineSight
    gpus: GpuPolling
    canaries: Canaries
    contacts: ContactBook
    readiness: Readiness
    serving: ServingWatch
    bypassing: Bypassing
    # judging
    windows: Windows
    learner: BaselineLearner
    pipeline: Pipeline
    heartbeat: Heartbeat
    # meaning
    encoder: Encoder
    references: ReferenceService
    samples: Samples
    archive: Archive | None
    # curing and delivering
    runner: Runner
    tally: IncidentTally
    deliveries: Deliveries
    telemetry: Telemetry | None
    recorder: SegmentRecorder | NullRecorder
