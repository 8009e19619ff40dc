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


class GpuPolling:
    """Reports become facts from ``start`` on."""

    def __init__(self, settings: Settings, clock: Clock, on_fact: Callable[[AnyFact], None]) -> None:
        self._settings = settings
        self._clock = clock
        self._on_fact = on_fact
        real = settings.hardware.source not in ("none", "simulated")
        self.hardware = Hardware(settings.hardware, clock, on_fact) if real else None
        """None where there is nothing that would have to be let go of."""

    def start(self, tasks: TaskGroup, stack: AsyncExitStack) -> None:
        """What has to be let go of is put on ``stack``."""
        if self.hardware is not None:
            stack.push_async_callback(self.hardware.close)
            tasks.start("gpus", self.hardware.run, eternal=False)  # closed before it is cancelled
        elif self._settings.hardware.source == "simulated":
            url = self._settings.engine.url
            tasks.start("gpus", lambda: simulated.poll(url, self._clock, self._on_fact))
