"""The JSON of ``/api/v1/gpus``: every GPU over a window, and where the placement differs from what was expected."""

from __future__ import annotations

from typing import Any

import msgspec

from watchtower.detectors.placement_findings import compare
from watchtower.settings import PlacementSettings
from watchtower.windows.gpu_windows import GpuWindows


def gpu_document(gpus: GpuWindows, placement: PlacementSettings, over: float, now: float) -> dict[str, Any]:
    """Every GPU over the last ``over`` seconds, and where the placement differs from what was expected."""
    return {**gpus.as_json(over, now), "placement": msgspec.to_builtins(compare(placement, gpus.newest()))}
