"""The GPUs of the simulated group, as a driver would report them. Pure: the caller says what time it is.

As on real hardware, a rank that is done early waits *inside* the collective, spinning, and reads 100 %. So a slow rank
(hot: clocks down) makes no difference in utilization; its clock and throttled time tell. Only a rank whose own host
stalls stands idle while the others spin. Waiting costs little power: busy at a fraction of the power is a hang.

The driver samples every sixth of a second, each GPU in its own phase, and keeps the last ten seconds.
"""

from __future__ import annotations

import math
from typing import Final

from watchtower.lab.simulator.chance import draw
from watchtower.lab.simulator.ranks import HEALTHY, Fault, FaultKind
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import GpuSeen, GpuSource, UtilizationSample

SAMPLE_SECONDS: Final = 1 / 6
RING_SECONDS: Final = 10.0
CLOCK_HZ: Final = 1980e6
IDLE_WATTS, COMPUTE_WATTS, SPIN_WATTS, LIMIT_WATTS = 70.0, 230.0, 20.0, 350.0
THERMAL_BITS: Final = 0x20 | 0x40
COOL_CELSIUS, HOT_CELSIUS = 61.0, 91.0
POWER_SPREAD: Final = 0.03
"""Two good cards differ by up to so much (ratio)."""


def uuid(rank: int) -> str:
    return f"GPU-simulated-{rank}"


def delays(seconds: tuple[float, ...] | None, ranks: int, fault: Fault) -> tuple[float, ...]:
    """How long after the step's begin each rank's kernel starts; infinite for one that never does."""
    late = [0.0] * ranks
    if fault.kind is FaultKind.IMBALANCE and seconds is not None:
        late[fault.rank] = seconds[fault.rank] * (1 - 1 / fault.factor)
    elif fault.kind is FaultKind.HANG:
        late[fault.rank] = math.inf
    return tuple(late)


class _Gpu:
    """Seconds with a kernel resident, and seconds of real work, by sample."""

    def __init__(self, phase: float) -> None:
        self.phase = phase
        self.busy: dict[int, float] = {}
        self.computed: dict[int, float] = {}
        self.throttled_ns = 0

    def add(self, into: dict[int, float], start: float, end: float) -> None:
        while start < end:
            number = self.sample_of(start)
            edge = min(end, self.phase + (number + 1) * SAMPLE_SECONDS)
            if edge <= start:  # rounding at an edge
                number, edge = number + 1, min(end, self.phase + (number + 2) * SAMPLE_SECONDS)
            into[number] = into.get(number, 0.0) + edge - start
            start = edge

    def sample_of(self, at: float) -> int:
        return math.floor((at - self.phase) / SAMPLE_SECONDS)

    def forget(self, before: float) -> None:
        oldest = self.sample_of(before)
        for sums in (self.busy, self.computed):
            for number in [number for number in sums if number < oldest]:
                del sums[number]


class Devices:
    """Told of each step's begin and end; asked for a report at any time."""

    def __init__(self, ranks: int, seed: int = 0) -> None:
        self._seed = seed
        self._gpus = [_Gpu(draw(seed, "phase", rank) * SAMPLE_SECONDS) for rank in range(ranks)]
        self._fault = HEALTHY
        self._step: tuple[float, tuple[float, ...], tuple[float, ...]] | None = None
        self._charged = 0.0
        self._known_since: float | None = None

    def began(self, at: float, seconds: tuple[float, ...] | None, fault: Fault) -> None:
        """A step begins; ``seconds`` is what each rank takes, delay and work together (None: it hangs)."""
        self._charge(at)
        ranks = len(self._gpus)
        self._step = (at, delays(seconds, ranks, fault), seconds or (0.0,) * ranks)

    def ended(self, at: float) -> None:
        self._charge(at)
        self._step = None

    def inflict(self, at: float, fault: Fault) -> None:
        """From now on ``fault`` is in force."""
        self._charge(at)
        self._fault = fault
        if fault.kind is FaultKind.HANG and self._step is not None:  # the step under way never ends any more
            began, _, seconds = self._step
            self._step = (began, delays(None, len(self._gpus), fault), seconds)

    def report(self, at: float) -> GpuReport:
        self._charge(at)
        return GpuReport(
            at=at, source=GpuSource.SIMULATED, gpus=[self._seen(rank, at) for rank in range(len(self._gpus))]
        )

    def _charge(self, now: float) -> None:
        """Write down what happened since the last time."""
        if self._known_since is None:
            self._known_since = self._charged = now
        since, self._charged = self._charged, now
        for rank, gpu in enumerate(self._gpus):
            if self._is_hot(rank):
                gpu.throttled_ns += round((now - since) * 1e9)
            if self._step is not None:
                began, late, seconds = self._step
                start = max(since, began + late[rank])
                gpu.add(gpu.busy, start, now)
                gpu.add(gpu.computed, start, min(now, began + seconds[rank]))
            gpu.forget(now - RING_SECONDS)

    def _is_hot(self, rank: int) -> bool:
        return self._fault.kind is FaultKind.SLOW and self._fault.rank == rank

    def _seen(self, rank: int, at: float) -> GpuSeen:
        gpu, hot = self._gpus[rank], self._is_hot(rank)
        clock = CLOCK_HZ / self._fault.factor if hot else CLOCK_HZ
        return GpuSeen(
            uuid=uuid(rank),
            index=rank,
            name="simulated",
            utilization=self._samples(gpu, at),
            sm_clock_hz=clock,
            sm_clock_max_hz=CLOCK_HZ,
            power_watts=self._watts(rank, at, clock),
            power_limit_watts=LIMIT_WATTS,
            temperature_celsius=HOT_CELSIUS if hot else COOL_CELSIUS,
            throttle_reasons=THERMAL_BITS if hot else 0,
            throttled_ns={"thermal": gpu.throttled_ns},
            ecc_corrected=0,
            ecc_uncorrected=0,
        )

    def _samples(self, gpu: _Gpu, at: float) -> list[UtilizationSample]:
        assert self._known_since is not None
        first = gpu.sample_of(max(self._known_since, at - RING_SECONDS)) + 1
        return [
            UtilizationSample(
                at=gpu.phase + (number + 1) * SAMPLE_SECONDS,
                seconds=SAMPLE_SECONDS,
                busy=min(1.0, round(gpu.busy.get(number, 0.0) / SAMPLE_SECONDS, 2)),  # whole percents, as NVML
            )
            for number in range(first, gpu.sample_of(at))
        ]

    def _watts(self, rank: int, at: float, clock: float) -> float:
        """Mean of the last second, as drivers give it."""
        gpu, last = self._gpus[rank], self._gpus[rank].sample_of(at)
        numbers = range(last - 6, last)
        busy = min(1.0, sum(gpu.busy.get(number, 0.0) for number in numbers))
        computed = min(busy, sum(gpu.computed.get(number, 0.0) for number in numbers))
        watts = IDLE_WATTS + COMPUTE_WATTS * computed * clock / CLOCK_HZ + SPIN_WATTS * (busy - computed)
        return watts * (1 + POWER_SPREAD * (draw(self._seed, "power", rank) - 0.5) * 2)
