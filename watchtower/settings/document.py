"""The whole of ``watchtower.yaml``: one group for each part of the house, and the plug-ins by kind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from watchtower.knobs import EngineSettings, Group, SinkSettings, SupervisorSettings
from watchtower.settings.answer_quality import (
    ReferenceSettings,
    SampleSettings,
    ScoringSettings,
)
from watchtower.settings.data_path import CanarySettings, RelaySettings
from watchtower.settings.gpu_knobs import HardwareSettings, PlacementSettings
from watchtower.settings.limits import EvidenceSettings, RemediationSettings
from watchtower.settings.outlets import RecordingSettings, TelemetrySettings, WebSettings


class Settings(Group):
    """The whole of ``watchtower.yaml``."""

    version: Literal[1] = 1
    target: str = "engine"
    """What people call this server; appears in every alert."""
    state_directory: Path = Path("/var/lib/watchtower")
    """Journal, outbox, keeper's ledger, sockets. Must survive restarts of the daemon."""
    rules: tuple[Path, ...] = ()
    """Rule files, relative to this file; empty: the shipped ``triad.yaml`` (profile demo: ``demo.yaml``)."""
    tick_seconds: Annotated[float, Field(ge=0.1, le=60)] = 1.0
    """How often the rules are evaluated."""
    relay: RelaySettings = RelaySettings()
    engine: EngineSettings = EngineSettings()
    supervisor: SupervisorSettings = SupervisorSettings()
    canary: CanarySettings = CanarySettings()
    references: ReferenceSettings = ReferenceSettings()
    samples: SampleSettings = SampleSettings()
    """Answers to users that are looked at, in memory."""
    recording: RecordingSettings = RecordingSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    placement: PlacementSettings = PlacementSettings()
    hardware: HardwareSettings = HardwareSettings()
    scoring: ScoringSettings = ScoringSettings()
    remediation: RemediationSettings = RemediationSettings()
    sinks: tuple[SinkSettings, ...] = (SinkSettings(kind="log", name="log"),)
    telemetry: TelemetrySettings = TelemetrySettings()
    """OpenTelemetry, off unless an endpoint is given."""
    web: WebSettings = WebSettings()
