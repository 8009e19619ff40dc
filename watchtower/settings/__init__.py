"""The house's own knobs: typed, frozen, each with its sentence. ``watchtower schema`` prints them as JSON Schema.

A knob's unit is in its name (``_seconds``, ``_bytes``). An object receives its own group, never the whole.
Plug-ins bring their own (``knobs``); reading YAML with places and cures is ``watchtower.configuration``'s job.
"""

from watchtower.settings.answer_quality import (
    EncoderKind,
    KeepSettings,
    ReferenceSettings,
    SampleSettings,
    ScoringSettings,
)
from watchtower.settings.data_path import CanarySettings, HoldSettings, RelaySettings
from watchtower.settings.document import Settings
from watchtower.settings.gpu_knobs import HardwareSettings, PlacementSettings, StageSettings
from watchtower.settings.limits import EvidenceSettings, RemediationSettings
from watchtower.settings.outlets import OtlpSettings, RecordingSettings, TelemetrySettings, WebSettings

__all__ = [
    "CanarySettings",
    "EncoderKind",
    "EvidenceSettings",
    "HardwareSettings",
    "HoldSettings",
    "KeepSettings",
    "OtlpSettings",
    "PlacementSettings",
    "RecordingSettings",
    "ReferenceSettings",
    "RelaySettings",
    "RemediationSettings",
    "SampleSettings",
    "ScoringSettings",
    "Settings",
    "StageSettings",
    "TelemetrySettings",
    "WebSettings",
]
