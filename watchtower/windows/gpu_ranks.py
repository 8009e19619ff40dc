"""One GPU as a rank among its peers: everything a source said of it, drawn together over one window.

Means of what is momentary, differences of what counts up, the newest of what is a state. Counters restart at 0 with
the driver: only rises are added up. What was not told in the window is None, and no witness speaks of it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, TypeVar

from watchtower.vocabulary.gpus import GpuSeen
from watchtower.windows.busyness import Busy, Busyness

T = TypeVar("T")
BITS: Final = {"thermal": 0x20 | 0x40, "power_brake": 0x80, "hw_slowdown": 0x08}
"""NVML clock-event bits by our word for them. The power cap (0x4) is normal at full load: one look tells nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """One GPU over one window."""

    uuid: str
    index: int = -1
    busy: Busy
    sm_clock_hz: float | None = None
    sm_active: float | None = None
    dram_active: float | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    temperature_celsius: float | None = None
    throttled: dict[str, float] = field(default_factory=dict)
    """Share of the window by reason: thermal, power_brake, power_cap, …"""
    link_errors: int = 0
    memory_errors: int = 0
    """Corrected ones, new in the window."""
    damage: str = ""
    """What the driver says must be mended: rows to remap, uncorrected errors, a reset it asks for."""
    pcie: tuple[int, int] | None = None
    """(generation, width) now."""
    nvlinks: tuple[int, int] | None = None
    """(up, all)"""

    @property
    def label(self) -> str:
        return f"GPU {self.index} ({self.uuid})" if self.index >= 0 else self.uuid


class Track:
    """The history of one GPU."""

    def __init__(self, uuid: str, longest_seconds: float) -> None:
        self.uuid = uuid
        self.busyness = Busyness(longest_seconds)
        self._longest = longest_seconds
        self._history: deque[tuple[float, GpuSeen]] = deque()
        self.reported_at = -math.inf
        self.last = GpuSeen(uuid=uuid)
        """The newest of what was told."""

    def add(self, at: float, seen: GpuSeen) -> None:
        if at <= self.reported_at:
            return
        self.reported_at, self.last = at, seen
        self._history.append((at, seen))
        while self._history[0][0] < at - self._longest:
            self._history.popleft()
        for sample in seen.utilization:
            self.busyness.add(sample, at)

    def rank(self, after: float, until: float) -> Rank:
        window = [(at, seen) for at, seen in self._history if after < at <= until + 1.0]
        reports = [seen for _, seen in window]
        last = reports[-1] if reports else GpuSeen(uuid=self.uuid)
        return Rank(
            uuid=self.uuid,
            index=last.index,
            busy=self.busyness.between(after, until),
            sm_clock_hz=_mean(seen.sm_clock_hz for seen in reports),
            sm_active=_mean(seen.sm_active for seen in reports),
            dram_active=_mean(seen.dram_active for seen in reports),
            power_watts=_mean(seen.power_watts for seen in reports),
            power_limit_watts=_newest(seen.power_limit_watts for seen in reports),
            temperature_celsius=_newest(seen.temperature_celsius for seen in reports),
            throttled=_throttled(window),
            link_errors=_rise(reports, lambda seen: seen.nvlink_errors)
            + _rise(reports, lambda seen: seen.pcie_replays),
            memory_errors=_rise(reports, lambda seen: seen.ecc_corrected),
            damage=_damage(reports),
            pcie=_newest(_pair(seen.pcie_generation, seen.pcie_width) for seen in reports),
            nvlinks=_newest(_pair(seen.nvlink_active, seen.nvlink_total) for seen in reports),
        )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return sum(known) / len(known) if known else None


def _newest(values: Iterable[T | None]) -> T | None:
    return next((value for value in reversed(list(values)) if value is not None), None)


def _pair(first: int | None, second: int | None) -> tuple[int, int] | None:
    return None if first is None or second is None else (first, second)


def _rise(reports: list[GpuSeen], counter: Callable[[GpuSeen], int | None]) -> int:
    values = [value for value in map(counter, reports) if value is not None]
    return sum(max(0, after - before) for before, after in pairwise(values))


def _throttled(window: list[tuple[float, GpuSeen]]) -> dict[str, float]:
    """Share of the window by reason: of the time between the first and the last count where there are counts, of the
    looks at the momentary mask where there are none."""
    masks = [seen.throttle_reasons for _, seen in window if seen.throttle_reasons is not None]
    shares = {name: sum(bool(mask & bits) for mask in masks) / len(masks) for name, bits in BITS.items() if masks}
    counts = [(at, seen.throttled_ns) for at, seen in window if seen.throttled_ns]
    if len(counts) > 1:
        elapsed = counts[-1][0] - counts[0][0]
        for reason in counts[-1][1]:
            totals = [total[reason] for _, total in counts if reason in total]
            risen = sum(max(0, after - before) for before, after in pairwise(totals))
            shares[reason] = min(1.0, risen / 1e9 / elapsed)
    return shares


def _damage(reports: list[GpuSeen]) -> str:
    last = reports[-1] if reports else None
    if last is None:
        return ""
    if _rise(reports, lambda seen: seen.ecc_uncorrected):
        return "uncorrected memory errors"
    if last.remap_failed:
        return "remapping of memory rows failed"
    if last.remap_pending:
        return "memory rows wait for a reset to be remapped"
    action = _newest(seen.recovery_action for seen in reports)
    return f"the driver asks for {action}" if action not in (None, "", "none") else ""
