"""The hardware of the daemon: the source that the settings name, and the JSON of ``/api/v1/gpus``. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from watchtower.detectors.placement_findings import compare
from watchtower.hardware import simulated
from watchtower.hardware.sources import Hardware
from watchtower.ports import Clock
from watchtower.settings import PlacementSettings, Settings
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.facts import AnyFact
from watchtower.windows.gpu_windows import GpuWindows


def start_hardware(
    settings: Settings, clock: Clock, on_fact: Callable[[AnyFact], None], tasks: TaskGroup, stack: AsyncExitStack
) -> Hardware | None:
    """Begin to look at the GPUs; None where there is nothing that would have to be let go of."""
    if settings.hardware.source == "none":
        return None
    if settings.hardware.source == "simulated":
        tasks.start("gpus", lambda: simulated.poll(settings.engine.url, clock, on_fact))
        return None
    hardware = Hardware(settings.hardware, clock, on_fact)
    stack.push_async_callback(hardware.close)
    tasks.start("gpus", hardware.run)
    return hardware


def gpus_json(gpus: GpuWindows, placement: PlacementSettings, over: float, now: float) -> dict[str, Any]:
    """Every GPU over the last ``over`` seconds, and where the placement differs from what was expected."""
    return {**gpus.as_json(over, now), "placement": msgspec.to_builtins(compare(placement, gpus.newest()))}
