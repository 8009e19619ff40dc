"""What people are shown of the GPUs."""

from __future__ import annotations

from tests.windows.hardware_scenes import at_work, reports, watched
from watchtower.services.judging.gpu_document import gpu_document
from watchtower.settings import PlacementSettings, StageSettings


def test_gpus_are_shown_beside_what_was_expected() -> None:
    windows, now = watched(reports([0.9, 0.5]), at_work())
    shown = gpu_document(windows.gpus, PlacementSettings(stages=(StageSettings(ranks=4),)), 30, now)
    assert [gpu["utilization"] for gpu in shown["gpus"]] == [0.9, 0.5]
    assert shown["placement"] == [
        {"stage": "all", "gpu": "", "question": "ranks", "expected": "4", "real": "2", "ok": False}
    ]
