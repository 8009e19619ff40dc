"""The contract of a GPU report, on a real driver: what the library of the other tests only claims about NVML.

Skipped with the driver's own reason where there is none.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from threading import Event, Thread

import pytest

from tests.hardware.machine import Child, sampled
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import GpuSeen, UtilizationSample

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(180)]
LOAD_SECONDS = 8.0


def collected(child: Child, seconds: float) -> list[GpuReport]:
    until = time.monotonic() + seconds
    reports = []
    while time.monotonic() < until:
        reports.append(child.report(sampled, seconds=30))
    return reports


def samples_of(reports: list[GpuReport], uuid: str) -> list[UtilizationSample]:
    return [sample for report in reports for gpu in report.gpus if gpu.uuid == uuid for sample in gpu.utilization]


def healthy(report: GpuReport) -> list[GpuSeen]:
    return [gpu for gpu in report.gpus if gpu.trouble is None]


def test_every_gpu_says_who_it_is_and_how_it_is(child: Child) -> None:
    for gpu in healthy(child.report(sampled, seconds=30)):
        assert gpu.uuid.startswith(("GPU-", "MIG-"))
        assert gpu.bus_id
        assert gpu.sm_clock_hz is None or 1e8 < gpu.sm_clock_hz < 5e9
        assert gpu.sm_clock_max_hz is None or gpu.sm_clock_max_hz >= (gpu.sm_clock_hz or 0)
        assert gpu.power_watts is None or 5 < gpu.power_watts < 2000
        assert gpu.temperature_celsius is None or 5 < gpu.temperature_celsius < 110
        assert gpu.memory_total_bytes is None or gpu.memory_total_bytes > 2**30
        print(gpu)


def test_a_value_is_there_or_says_why_not(child: Child) -> None:
    values = ("sm_clock_hz", "power_watts", "temperature_celsius", "memory_used_bytes", "throttle_reasons")
    for gpu in healthy(child.report(sampled, seconds=30)):
        for value in values:
            assert (getattr(gpu, value) is None) == (value in gpu.unavailable), (value, gpu.unavailable)


def test_utilization_samples_cover_the_time_once(child: Child) -> None:
    reports = collected(child, 10.0)
    for gpu in healthy(reports[-1]):
        samples = samples_of(reports, gpu.uuid)
        if "utilization" in gpu.unavailable:
            continue
        covered = sum(sample.seconds for sample in samples)
        elapsed = samples[-1].at - samples[0].at + samples[0].seconds
        print(gpu.uuid, len(samples), "samples", f"{covered:.2f} s of {elapsed:.2f} s")
        assert 0.9 * elapsed <= covered <= 1.05 * elapsed
        assert all(before.at < after.at for before, after in pairwise(samples))
        assert all(0 <= sample.busy <= 1 for sample in samples)
        assert reports[-1].at - 3.5 < samples[-1].at <= reports[-1].at + 0.2


def test_counters_never_run_backwards(child: Child) -> None:
    reports = collected(child, 6.0)
    for before, after in pairwise(reports):
        for old, new in zip(healthy(before), healthy(after), strict=True):
            for reason, nanoseconds in new.throttled_ns.items():
                assert nanoseconds >= old.throttled_ns.get(reason, 0)


def test_a_load_is_seen_in_utilization_and_power(child: Child) -> None:
    quiet = collected(child, 4.0)[-1]
    with load():
        time.sleep(3)
        reports = collected(child, LOAD_SECONDS)
    gpu = next(gpu for gpu in healthy(reports[-1]) if gpu.index == 0)
    before = next(gpu for gpu in healthy(quiet) if gpu.index == 0)
    samples = samples_of(reports, gpu.uuid)
    mean = sum(sample.busy * sample.seconds for sample in samples) / sum(sample.seconds for sample in samples)
    print(f"utilization {mean:.1%}, power {before.power_watts} → {gpu.power_watts} W, SM {gpu.sm_active}")
    assert mean > 0.5
    assert (gpu.power_watts or 0) >= (before.power_watts or 0)


@contextmanager
def load() -> Iterator[None]:
    """Memory of the first GPU is set again and again, through the driver alone: no toolkit is needed."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        pytest.skip("libcuda.so.1 is not here: no load can be made")
    context, memory, size = ctypes.c_void_p(), ctypes.c_uint64(), 1 << 30
    assert cuda.cuInit(0) == 0
    assert cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
    over = Event()

    def work() -> None:
        assert cuda.cuCtxSetCurrent(context) == 0
        assert cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t(size)) == 0
        while not over.is_set():
            for _ in range(64):
                cuda.cuMemsetD32_v2(memory, ctypes.c_uint(7), ctypes.c_size_t(size // 4))
            cuda.cuCtxSynchronize()
        cuda.cuMemFree_v2(memory)

    worker = Thread(target=work, daemon=True)
    worker.start()
    try:
        yield
    finally:
        over.set()
        worker.join(30)
        cuda.cuDevicePrimaryCtxRelease_v2(0)
