"""Utilization from the driver's own ring of samples, so that nothing between two looks is missed.

NVML samples every 1/6 s to 1 s, by product, and keeps 10 s; a look drains what is newer than the last. How long a
sample lasted follows from timestamps, never from an assumed rate. Stamps are wall-clock microseconds that anybody may
set, so they are anchored to CLOCK_BOOTTIME, and anchored again when they leave the present. The first drain only sets
the mark: what was there before us was perhaps reported by a predecessor.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Any

import pynvml

from watchtower.hardware.nvml.device import Device
from watchtower.hardware.nvml.fields import number
from watchtower.hardware.nvml.meanings import NO_NEWS
from watchtower.vocabulary.gpus import Trouble, UtilizationSample
from watchtower.vocabulary.instants import Instant

LONGEST_SAMPLE_SECONDS = 1.0
"""nvml.h: between 1/6 s and 1 s, by product."""
FUTURE_SECONDS = 0.5
PAST_SECONDS = 3.0
"""The newest of fresh samples must lie in [now − PAST, now + FUTURE], otherwise somebody set a clock. ``now`` is read
before the driver is asked, and a busy host may keep us waiting in between."""
MICROSECONDS = 1_000_000

VALUE = "utilization"


class Utilization:
    """The reader of one GPU."""

    def __init__(self, ring_seconds: float) -> None:
        """``ring_seconds``: how far back the driver remembers."""
        self._ring_seconds = ring_seconds
        self._mark: int | None = None
        """Stamp of the newest sample we know."""
        self._shift: float | None = None
        """CLOCK_BOOTTIME seconds minus the driver's seconds."""
        self._news_at = 0.0
        self._pointed_at: float | None = None

    def read(self, gpu: Device, now: Instant) -> list[UtilizationSample]:
        """New samples, oldest first. Raises NvmlError."""
        if _without_utilization(gpu):
            return []
        samples = self._fresh(gpu, now)
        if not samples:
            return []
        stamps = [stamp for stamp, _ in samples]
        first = self._mark is None
        lasted = intervals(self._mark, stamps)
        self._mark, self._news_at = stamps[-1], now.boot
        if first:
            return []
        shift = self._anchored(stamps[-1], lasted[-1], now)
        return [
            UtilizationSample(at=stamp / MICROSECONDS + shift, seconds=seconds, busy=percent / 100)
            for (stamp, percent), seconds in zip(samples, lasted, strict=True)
        ]

    def point(self, gpu: Device, now: Instant) -> list[UtilizationSample]:
        """A momentary reading, for a GPU whose driver keeps no ring: it stands for the time since the one before."""
        if _without_utilization(gpu):
            return []
        rates = gpu.ask(VALUE, pynvml.nvmlDeviceGetUtilizationRates)
        before, self._pointed_at = self._pointed_at, now.boot
        if rates is None or before is None or not 0 <= rates.gpu <= 100:
            return []
        seconds = min(now.boot - before, 2 * LONGEST_SAMPLE_SECONDS)
        return [UtilizationSample(at=now.boot, seconds=seconds, busy=rates.gpu / 100)]

    def without_ring(self, gpu: Device) -> bool:
        """Whether only momentary readings are to be had."""
        return gpu.refuses(VALUE, pynvml.nvmlDeviceGetSamples)

    def _fresh(self, gpu: Device, now: Instant) -> list[tuple[int, int]]:
        samples = self._drain(gpu, self._mark or 0)
        if samples or self._mark is None or now.boot - self._news_at <= self._ring_seconds:
            return samples
        # Nothing for as long as the ring lasts: a clock that was set back hides all that is new behind the mark.
        samples = self._drain(gpu, 0)
        if samples and samples[-1][0] < self._mark:
            self._mark = None
            return samples
        return []

    def _drain(self, gpu: Device, mark: int) -> list[tuple[int, int]]:
        """(stamp, percent) newer than ``mark``, in order."""
        answer = gpu.ask(VALUE, pynvml.nvmlDeviceGetSamples, pynvml.NVML_GPU_UTILIZATION_SAMPLES, mark, no_news=NO_NEWS)
        if answer is None:
            return []
        kind, samples = answer
        return sorted(_valid(kind, samples, mark))

    def _anchored(self, newest: int, lasted: float, now: Instant) -> float:
        """The shift from stamps to CLOCK_BOOTTIME that puts the newest sample into the present.

        Under a wrong clock its age is unknown, between nothing and the time that a sample lasts. It is taken for the
        oldest it can be: put at ``now``, the next one, younger when it is read, would lie in the future and move the
        anchor again.
        """
        driver = newest / MICROSECONDS
        for shift in (self._shift, now.boot - now.wall):
            if shift is not None and now.boot - PAST_SECONDS <= driver + shift <= now.boot + FUTURE_SECONDS:
                self._shift = shift
                return shift
        self._shift = now.boot - lasted - driver
        return self._shift


def intervals(mark: int | None, stamps: Sequence[int]) -> list[float]:
    """How many seconds each sample stands for: the time since the one before, except where samples are missing in
    between (the ring wrapped, the GPU slept); there it is the usual distance."""
    gaps = [(after - before) / MICROSECONDS for before, after in pairwise(stamps)]
    first = (stamps[0] - mark) / MICROSECONDS if mark is not None else LONGEST_SAMPLE_SECONDS
    usual = min(median(gaps) if gaps else first, LONGEST_SAMPLE_SECONDS)
    return [gap if gap <= 2 * usual else usual for gap in (first, *gaps)]


def _without_utilization(gpu: Device) -> bool:
    if gpu.mig:  # NVML gives none, of the GPU or of its slices
        gpu.cannot(VALUE, Trouble.MIG)
    return gpu.mig


def _valid(kind: int, samples: Sequence[Any], mark: int) -> list[tuple[int, int]]:
    found = []
    for sample in samples:
        percent = number(kind, sample.sampleValue)
        if percent is not None and 0 <= percent <= 100 and sample.timeStamp > mark:
            found.append((int(sample.timeStamp), int(percent)))
    return found
