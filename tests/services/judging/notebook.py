"""The real detector of load, which remembers what it was told to learn and to forget."""

from __future__ import annotations

from typing import Any

from watchtower.detectors.load_explains_latency import LoadExplainsLatency
from watchtower.detectors.load_settings import LoadSettings


class Notebook(LoadExplainsLatency):
    def __init__(self, **knobs: float) -> None:
        super().__init__("engine", LoadSettings(**knobs))  # type: ignore[arg-type]  # whichever a test changes
        self.lessons = self.disturbances = 0

    def learn(self, *lesson: Any) -> bool:
        self.lessons += 1
        return super().learn(*lesson)

    def disturbed(self) -> None:
        self.disturbances += 1
        super().disturbed()
