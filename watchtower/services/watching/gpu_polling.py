"""Looks at the GPUs through the source that the settings name: a child over NVML, an exporter, or the simulator."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

from watchtower.hardware import simulated
from watchtower.hardware.sources import Hardware
from watchtower.ports import Clock
from watchtower.settings import Settings
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.facts import AnyFact


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
    tasks.start("gpus", hardware.run, eternal=False)  # closed before it is cancelled
    return hardware
