"""The scene's GPUs: the real gpu child on the real pynvml, over the stand-in for NVML.

The stand-in is told twice a second what the simulated engine's ranks do (load, clocks, heat), so that its values have
the story's shape, and adds what a simulated rank does not have: memory, links, ECC, GPM. A card whose host stalls gets
the company that a bad riser has in life: replays, link errors, a link that is down, an Xid.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import httpx
import msgspec
import pytest

from tests.hardware.machine import Machine
from watchtower.lab.simulator import nvml_stub
from watchtower.ports import Clock
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import GpuSeen

RANKS, LINKS = 4, 18
SECONDS = 0.5
SECOND_OF_SAMPLES = 6
IDLE_AMONG_BUSY = 0.3
"""So much less busy than the busiest: its host stalls (ratio)."""
WATTS = 2.0
"""The simulated card draws up to 350 W, the one that the stand-in plays 700 W."""
PLACEMENT: dict[str, Any] = {
    "stages": [{"name": "tp0", "ranks": RANKS, "model": "H100", "pcie_width": 16, "nvlinks": LINKS}]
}
THERMAL = 270
"""NVML's field of time lost to heat."""


@contextmanager
def machine(directory: Path) -> Iterator[Machine]:
    """Processes started inside the block find the stand-in where NVML would be. Raises NotReachable without gcc."""
    found = Machine(directory, nvml_stub.built(nvml_stub.user_cache(os.environ)))
    found.scene(f"gpus {RANKS}")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in found.environment().items():
            patch.setenv(name, value)
        yield found


@dataclass
class Mirror:
    """``await run()``: what the ranks of the engine at ``url`` do, the machine's cards do as well."""

    machine: Machine
    url: str
    clock: Clock
    http: httpx.AsyncClient
    stalled: int = 0
    """How often a card was seen idle among busy ones."""
    warm: int = 0
    xids: list[str] = field(default_factory=list)

    async def run(self) -> None:
        while True:
            try:
                answer = await self.http.get(f"{self.url}/sim/gpus", timeout=2.0)
                report = msgspec.json.decode(answer.content, type=GpuReport)
                self.machine.scene(f"gpus {RANKS}", *self.lines(report.gpus), *self.xids)
            except httpx.HTTPError:
                self.machine.scene(f"gpus {RANKS}", "set * util 0", "set * power_mw 140000", *self.xids)
            await self.clock.sleep(SECONDS)

    def lines(self, cards: list[GpuSeen]) -> list[str]:
        loads = [_load(card) for card in cards]
        found = []
        for card, load in zip(cards, loads, strict=True):
            hot, stalls = bool(card.throttle_reasons), load < max(loads) - IDLE_AMONG_BUSY
            self.warm += hot
            if stalls:
                self.stalled += 1
                if not self.xids:
                    self.xids.append(f"xid {card.index} 31")
            values = {
                "util": load * 100,
                "sm_percent": load * 65,
                "dram_percent": load * 48,
                "clock": (card.sm_clock_hz or 0) / 1e6,
                "power_mw": (card.power_watts or 0) * WATTS * 1e3,
                "temperature": card.temperature_celsius or 0,
                "reasons": card.throttle_reasons or 0,
                f"ms_{THERMAL}": card.throttled_ns["thermal"] / 1e6,
                "memory_used_mib": 71_000 + 400 * card.index,
                "ecc_corrected": self.warm // 8 if card.index == 2 else 0,
                "pcie_replays": 3 * self.stalled if card.index == 1 else 0,
                "link_errors": 2 * self.stalled if card.index == 1 else 0,
                "links_down": int(stalls),
            }
            found += [f"set {card.index} {key} {value:.0f}" for key, value in values.items()]
        return found


def _load(card: GpuSeen) -> float:
    """Of its last second; 0 for one that has not lived so long."""
    return fmean([sample.busy for sample in card.utilization[-SECOND_OF_SAMPLES:]] or [0.0])
