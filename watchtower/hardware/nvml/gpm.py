"""GPM, Hopper and newer: how many SMs and how much memory bandwidth were busy, where utilization only says "some".

Two samples make an average over the time between them. Both are allocated once and swapped; pynvml never frees them,
``close`` does. All GPM calls come from one thread: running them for several GPUs at once has crashed monitors.
"""

from __future__ import annotations

import math
from typing import Any

import pynvml

from watchtower.hardware.nvml.device import Device
from watchtower.vocabulary.gpus import Trouble

METRICS = (("sm_active", pynvml.NVML_GPM_METRIC_SM_UTIL), ("dram_active", pynvml.NVML_GPM_METRIC_DRAM_BW_UTIL))
VALUE = "sm_active"
LEAST_SECONDS = 0.1
"""Two samples closer than this say nothing."""


class Gpm:
    """The reader of one GPU."""

    def __init__(self) -> None:
        self._supported: bool | None = None
        self._samples: list[Any] = []
        self._taken_at: float | None = None
        self._request: Any = None

    def read(self, gpu: Device, now: float) -> None:
        """Raises NvmlError."""
        if not self._ready(gpu) or (self._taken_at is not None and now - self._taken_at < LEAST_SECONDS):
            return
        before, after = self._samples
        if gpu.ask(VALUE, pynvml.nvmlGpmSampleGet, after) is None:
            self._taken_at = None
            gpu.note(**dict.fromkeys(dict(METRICS)))
            return
        self._samples = [after, before]
        if self._taken_at is not None:
            gpu.note(**self._averages(gpu, before, after))
        self._taken_at = now

    def close(self) -> None:
        """Give the samples back; before the shutdown of NVML, from the thread that took them."""
        while self._samples:
            try:
                pynvml.nvmlGpmSampleFree(self._samples.pop())
            except pynvml.NVMLError:
                return  # the library let go of everything already

    def _ready(self, gpu: Device) -> bool:
        if self._supported is None:
            answer = gpu.ask(VALUE, pynvml.nvmlGpmQueryDeviceSupport)
            if answer is None and gpu.why(VALUE) is not Trouble.NOT_SUPPORTED:
                return False  # asked again next time
            self._supported = answer is not None and bool(answer.isSupportedDevice)
            self._request = pynvml.c_nvmlGpmMetricsGet_t()
            self._request.version = pynvml.NVML_GPM_METRICS_GET_VERSION
        if not self._supported:
            for value, _ in METRICS:
                gpu.cannot(value, Trouble.NOT_SUPPORTED)
            return False
        while len(self._samples) < 2:
            sample = gpu.ask(VALUE, gpm_sample_alloc)
            if sample is None:
                return False
            self._samples.append(sample)
        return True

    def _averages(self, gpu: Device, before: Any, after: Any) -> dict[str, float | None]:
        request = self._request
        request.sample1, request.sample2, request.numMetrics = before, after, len(METRICS)
        for place, (_, metric) in enumerate(METRICS):
            request.metrics[place].metricId = metric
        answer = gpu.ask(VALUE, gpm_metrics_get, request)
        found: dict[str, float | None] = {}
        for place, (value, _) in enumerate(METRICS):
            metric = request.metrics[place]
            readable = answer is not None and metric.nvmlReturn == pynvml.NVML_SUCCESS and math.isfinite(metric.value)
            found[value] = min(max(metric.value / 100, 0.0), 1.0) if readable else None
            if readable:
                gpu.can(value)
            else:
                gpu.cannot(value, gpu.why(VALUE) or Trouble.NOT_SUPPORTED)
        return found


def gpm_metrics_get(_handle: object, request: Any) -> Any:
    """``nvmlGpmMetricsGet`` takes no handle: the samples know their GPU."""
    return pynvml.nvmlGpmMetricsGet(request)


def gpm_sample_alloc(_handle: object) -> Any:
    """Nor does ``nvmlGpmSampleAlloc``."""
    return pynvml.nvmlGpmSampleAlloc()
