"""The hardware on the board: the JSON of ``/api/v1/gpus``. Connects windows and placement, decides nothing."""

from __future__ import annotations

from typing import Any

import msgspec

from watchtower.detectors.placement import compare
from watchtower.settings import PlacementSettings
from watchtower.windows.hardware import GpuWindows


def gpus_json(gpus: GpuWindows, placement: PlacementSettings, over: float, now: float) -> dict[str, Any]:
    """Every GPU over the last ``over`` seconds, and where the placement differs from what was expected."""
    return {**gpus.as_json(over, now), "placement": msgspec.to_builtins(compare(placement, gpus.newest()))}
