"""Samples become time without gaps, overlaps or inventions, whatever the clocks do."""

from __future__ import annotations

import time
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hardware.machine import QUICK, Machine, gpu_of, sampled
from watchtower.clock import SystemClock
from watchtower.hardware.nvml.utilization import FUTURE_SECONDS, LONGEST_SAMPLE_SECONDS, intervals
from watchtower.vocabulary.gpus import UtilizationSample

SIXTH = 166_667


def test_a_sample_stands_for_the_time_since_the_one_before() -> None:
    assert intervals(1_000_000, [1_200_000, 1_400_000, 1_600_000]) == pytest.approx([0.2, 0.2, 0.2])


def test_a_hole_is_not_filled_with_the_sample_after_it() -> None:
    stamps = [20_000_000 + SIXTH * place for place in range(5)]
    assert intervals(1_000_000, stamps) == pytest.approx([SIXTH / 1e6] * 5), "the ring wrapped 9 s ago"
    torn = [*stamps, stamps[-1] + 5_000_000]
    assert intervals(stamps[0] - SIXTH, torn)[-1] == pytest.approx(SIXTH / 1e6)


def test_one_sample_after_a_long_silence_stands_for_no_longer_than_nvml_says() -> None:
    assert intervals(1_000_000, [60_000_000]) == [LONGEST_SAMPLE_SECONDS]


@given(st.lists(st.integers(1, 3_000_000), min_size=1, max_size=80), st.integers(0, 10**15))
def test_no_sample_claims_more_time_than_passed(gaps: list[int], mark: int) -> None:
    stamps: list[int] = []
    for gap in gaps:
        stamps.append((stamps[-1] if stamps else mark) + gap)
    lasted = intervals(mark, stamps)
    assert all(
        0 < seconds <= gap / 1e6 + 1e-9 or seconds <= LONGEST_SAMPLE_SECONDS
        for seconds, gap in zip(lasted, gaps, strict=True)
    )


def collect(machine: Machine, seconds: float) -> tuple[list[UtilizationSample], float]:
    """What GPU 0 told over at least so many seconds, and when its last report was made."""
    samples: list[UtilizationSample] = []
    with machine.child() as child:
        began = child.report().at
        while True:
            report = child.report(sampled)
            samples += gpu_of(report, 0).utilization
            if report.at - began >= seconds:
                return samples, report.at


def seamless(samples: list[UtilizationSample]) -> bool:
    return all(after.at - after.seconds == pytest.approx(before.at, abs=1e-3) for before, after in pairwise(samples))


@pytest.mark.parametrize("period", [SIXTH, 200_000, 1_000_000])
def test_drained_samples_cover_time_once_at_any_rate(machine: Machine, period: int) -> None:
    machine.scene("gpus 1", f"set 0 period_us {period}", "set 0 util 37")
    samples, now = collect(machine, 3 * period / 1e6)
    assert len(samples) >= 2
    assert seamless(samples)
    assert {sample.busy for sample in samples} == {0.37}
    assert {round(sample.seconds, 2) for sample in samples} == {round(period / 1e6, 2)}
    # The report's instant is read before its samples are: one that ends in between is that much newer.
    assert now - 3 < samples[-1].at <= now + FUTURE_SECONDS


def test_what_the_ring_held_before_us_is_not_told_again(machine: Machine) -> None:
    started = SystemClock().now().boot
    samples, _ = collect(machine, 1.5)
    assert samples[0].at > started


@pytest.mark.parametrize(("shift", "period"), [(-3_600_000_000, SIXTH), (86_400_000_000, 1_000_000)])
def test_stamps_of_a_wrong_clock_are_put_into_the_present(machine: Machine, shift: int, period: int) -> None:
    machine.scene("gpus 1", f"set 0 stamp_shift_us {shift}", f"set 0 period_us {period}")
    samples, now = collect(machine, 3.5 * period / 1e6)
    assert len(samples) >= 3
    assert seamless(samples), samples
    assert now - 2 < samples[-1].at <= now + FUTURE_SECONDS


def test_a_clock_set_forward_mid_run_is_followed(machine: Machine) -> None:
    machine.scene("gpus 1")
    with machine.child() as child:
        child.report(sampled)
        machine.scene("gpus 1", "set 0 stamp_shift_us 7200000000")
        time.sleep(0.5)
        report = child.report(sampled)
        newest = gpu_of(report, 0).utilization[-1]
        assert report.at - 1 < newest.at <= report.at + FUTURE_SECONDS


def test_a_clock_set_back_mid_run_costs_what_the_driver_remembers_and_not_an_hour(machine: Machine) -> None:
    machine.scene("gpus 1")
    with machine.child(msgspec.structs.replace(QUICK, ring_seconds=1.5)) as child:
        child.report(sampled)
        machine.scene("gpus 1", "set 0 stamp_shift_us -3600000000")
        for _ in range(3):
            child.report(lambda report: not sampled(report))
        report = child.report(sampled)
        newest = gpu_of(report, 0).utilization[-1]
        assert report.at - 2 < newest.at <= report.at + FUTURE_SECONDS


def test_where_the_driver_keeps_no_ring_the_readings_are_momentary_and_say_so(machine: Machine) -> None:
    machine.scene("gpus 1", "fail 0 nvmlDeviceGetSamples 3", "set 0 util 37")
    with machine.child() as child:
        gpu = gpu_of(child.report(sampled), 0)
        assert gpu.point_sampled
        assert gpu.utilization[0].busy == 0.37
        assert gpu.utilization[0].seconds < 1


def test_no_news_is_neither_zero_nor_trouble(machine: Machine) -> None:
    machine.scene("gpus 1", "set 0 no_samples 1")
    with machine.child(msgspec.structs.replace(QUICK, samples_seconds=0.1)) as child:
        for _ in range(5):
            gpu = gpu_of(child.report(), 0)
            assert gpu.utilization == []
            assert gpu.unavailable.get("utilization") is None
            assert not gpu.point_sampled
