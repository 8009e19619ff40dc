"""The simulated GPUs: what a driver would say in health, in each fault, and that they behave like a driver's ring."""

from __future__ import annotations

from statistics import fmean

import pytest

from watchtower.lab.simulator.devices import LIMIT_WATTS, RING_SECONDS, Devices
from watchtower.lab.simulator.ranks import HEALTHY, Fault, FaultKind, step_seconds
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import GpuSource


def played(fault: Fault = HEALTHY, seconds: float = 12.0, idle: float = 0.0) -> tuple[Devices, GpuReport]:
    """Four ranks stepping one after the other, ``idle`` seconds between two steps, from instant 1000 on."""
    devices, now, step = Devices(4), 1000.0, 0
    devices.inflict(now, fault)
    while now < 1000.0 + seconds:
        each = step_seconds(seed=0, step=step, ranks=4, token_seconds=0.02, batch=4, prefill_tokens=0, fault=fault)
        devices.began(now, each, fault)
        if each is None:
            return devices, devices.report(now + seconds)
        now, step = now + max(each), step + 1
        devices.ended(now)
        now += idle
    return devices, devices.report(now)


def means(report: GpuReport) -> list[float]:
    return [fmean(sample.busy for sample in gpu.utilization) for gpu in report.gpus]


def test_a_working_group_reads_busy_on_every_rank() -> None:
    _, report = played()
    assert means(report) == pytest.approx([1.0] * 4, abs=0.02)
    assert report.source is GpuSource.SIMULATED
    assert all(gpu.uuid.startswith("GPU-simulated-") for gpu in report.gpus)


def test_half_of_the_time_idle_reads_half() -> None:
    _, report = played(idle=0.022)
    assert means(report) == pytest.approx([0.5] * 4, abs=0.03)


def test_a_slow_rank_makes_no_difference_in_utilization_but_in_clock_heat_and_throttled_time() -> None:
    _, report = played(Fault(kind=FaultKind.SLOW, rank=2, factor=10))
    assert max(means(report)) - min(means(report)) < 0.05
    slow, peer = report.gpus[2], report.gpus[0]
    assert slow.sm_clock_hz == pytest.approx(198e6) and peer.sm_clock_hz == 1980e6
    assert slow.throttled_ns["thermal"] > 11e9 and peer.throttled_ns["thermal"] == 0
    assert (slow.temperature_celsius or 0) > (peer.temperature_celsius or 0) + 20


def test_a_stalled_host_leaves_its_gpu_idle_while_the_others_spin() -> None:
    _, report = played(Fault(kind=FaultKind.IMBALANCE, rank=1, factor=4))
    busy = means(report)
    assert busy[1] == pytest.approx(0.25, abs=0.05)
    assert [busy[0], busy[2], busy[3]] == pytest.approx([1.0] * 3, abs=0.02)
    assert report.gpus[1].throttled_ns["thermal"] == 0


def test_in_a_hang_the_waiting_read_busy_at_little_power_and_the_missing_one_stands_still() -> None:
    _, report = played(Fault(kind=FaultKind.HANG, rank=3))
    assert means(report) == pytest.approx([1.0, 1.0, 1.0, 0.0], abs=0.01)
    assert all((gpu.power_watts or 0) < 0.5 * LIMIT_WATTS for gpu in report.gpus)


def test_a_hang_in_the_middle_of_a_step_begins_at_once() -> None:
    devices, fault = Devices(2), Fault(kind=FaultKind.HANG, rank=0)
    devices.began(1000.0, (0.02, 0.02), HEALTHY)
    devices.inflict(1000.01, fault)
    assert means(devices.report(1008.0)) == pytest.approx([0.0, 1.0], abs=0.03)


def test_the_ring_keeps_ten_seconds_and_tells_the_same_twice() -> None:
    devices, report = played(seconds=30.0)
    again = devices.report(report.at)
    assert [gpu.utilization for gpu in again.gpus] == [gpu.utilization for gpu in report.gpus]
    for gpu in report.gpus:
        assert gpu.utilization[-1].at - gpu.utilization[0].at == pytest.approx(RING_SECONDS, abs=0.4)
        assert gpu.utilization[-1].at <= report.at


def test_the_gpus_sample_out_of_phase() -> None:
    _, report = played()
    assert len({gpu.utilization[-1].at % (1 / 6) for gpu in report.gpus}) == 4
