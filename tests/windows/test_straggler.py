"""Each way of being slower than one's peers, its score and its name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.windows.hardware_scenes import Change, at_work, reports, watched
from watchtower.vocabulary.readings import Reading
from watchtower.windows.busyness import Busy
from watchtower.windows.gpu_ranks import Rank
from watchtower.windows.straggler import LagCause, worst

EQUAL = Rank(
    uuid="GPU-x", busy=Busy(30, 0.97, 0.1), sm_clock_hz=1980e6, power_watts=600.0, power_limit_watts=700.0,
    throttled={"thermal": 0.0, "power_cap": 0.9}, pcie=(5, 16), nvlinks=(18, 18), sm_active=0.8,
)  # fmt: skip


def group(count: int = 4, odd: int = 2, **changes: Any) -> list[Rank]:
    ranks = [replace(EQUAL, uuid=f"GPU-{index}", index=index) for index in range(count)]
    ranks[odd] = replace(ranks[odd], **changes)
    return ranks


def score(change: dict[int, Change]) -> Reading:
    windows, now = watched(reports([1.0] * 4, change=change), at_work())
    return windows.read("gpu_straggler.score", 30, now)


def test_equal_ranks_have_no_straggler() -> None:
    assert worst(group()).score == 0


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"throttled": {"thermal": 0.4, "power_cap": 0.9}, "sm_clock_hz": 1200e6}, LagCause.THERMAL),
        ({"throttled": {"power_brake": 0.4, "power_cap": 0.9}, "sm_clock_hz": 990e6}, LagCause.POWER_BRAKE),
        ({"power_limit_watts": 400.0, "sm_clock_hz": 1400e6}, LagCause.POWER_CAP),
        ({"pcie": (5, 8)}, LagCause.LINKS),
        ({"nvlinks": (12, 18)}, LagCause.LINKS),
        ({"link_errors": 40}, LagCause.LINKS),
        ({"memory_errors": 200}, LagCause.MEMORY),
        ({"damage": "memory rows wait for a reset to be remapped"}, LagCause.MEMORY),
        ({"busy": Busy(30, 0.3, 0.1), "power_watts": 200.0}, LagCause.HOST_STALL),
        ({"sm_clock_hz": 1500e6}, LagCause.CLOCKS),
        ({"power_watts": 300.0}, LagCause.UNEXPLAINED),
        ({"sm_active": 0.5}, LagCause.UNEXPLAINED),
    ],
)
def test_each_sign_names_its_rank_and_cause(changes: dict[str, Any], cause: LagCause) -> None:
    found = worst(group(**changes))
    assert (found.rank.uuid, found.sign.cause) == ("GPU-2", cause)
    assert found.score >= 1 and "GPU 2 (GPU-2)" in found.sentence


@pytest.mark.parametrize(
    "changes",
    [
        {"sm_clock_hz": 1900e6},
        {"throttled": {"thermal": 0.03, "power_cap": 0.9}},
        {"throttled": {"power_cap": 1.0}},
        {"power_limit_watts": 400.0},
        {"power_watts": 520.0},
        {"link_errors": 2},
        {"sm_active": 0.9},
    ],
)
def test_inside_the_bounds_nobody_is_a_straggler(changes: dict[str, Any]) -> None:
    assert worst(group(**changes)).score < 1


def test_what_all_share_is_nobodys_fault() -> None:
    hot = [replace(rank, throttled={"thermal": 0.5}, sm_clock_hz=1200e6) for rank in group()]
    assert worst(hot).score < 1


def test_the_score_is_the_deviation_in_bounds() -> None:
    assert worst(group(sm_clock_hz=1980e6 * 0.95)).score == pytest.approx(0.5)
    assert worst(group(sm_clock_hz=1980e6 * 0.80)).score == pytest.approx(2.0)


def test_of_two_a_low_clock_is_named_and_a_low_power_names_the_pair() -> None:
    assert worst(group(2, 1, sm_clock_hz=1500e6)).sentence.startswith("GPU 1 (GPU-1): clocks")
    assert worst(group(2, 1, power_watts=300.0)).sentence.startswith(
        ("GPU 1 (GPU-1) or GPU 0", "GPU 0 (GPU-0) or GPU 1")
    )


def test_a_rank_that_tells_little_is_judged_by_what_it_tells() -> None:
    mute = [Rank(uuid="GPU-0", busy=Busy(30, 1.0, 0.0)), Rank(uuid="GPU-1", busy=Busy(30, 1.0, 0.0))]
    assert worst(mute).score == 0


# ── from reports ────────────────────────────────────────────────────────────────────────────────


def test_a_throttled_gpu_reads_busy_like_its_peers_and_is_named() -> None:
    hot = {
        1: lambda second: {
            "throttled_ns": {"thermal": int(second * 0.6e9), "power_cap": int(second * 0.9e9)},
            "throttle_reasons": 0x20,
            "sm_clock_hz": 1100e6,
            "temperature_celsius": 88.0,
        }
    }
    reading = score(hot)
    assert reading.value == pytest.approx(12, rel=0.05)
    assert reading.detail == (
        "GPU 1 (GPU-1): thermal, throttled 60 % of the window at 88 °C, SM clock 1100 MHz, the peers' 1980"
    )
    windows, now = watched(reports([1.0] * 4, change=hot), at_work())
    assert windows.read("gpu_utilization.spread", 30, now).value == 0.0


def test_a_counter_that_starts_anew_with_the_driver_is_not_throttling() -> None:
    reset = {1: lambda second: {"throttled_ns": {"thermal": 5_000_000_000_000 if second < 60 else 0}}}
    reading = score(reset)
    assert reading.value is not None and reading.value < 1


def test_the_momentary_mask_speaks_where_nothing_counts() -> None:
    mask = {1: lambda second: {"throttled_ns": {}, "throttle_reasons": 0x80}}
    assert "power brake, throttled 100 % of the window" in score(mask).detail


def test_new_errors_count_and_old_ones_do_not() -> None:
    old = {1: lambda second: {"nvlink_errors": 5000}}
    new = {1: lambda second: {"nvlink_errors": 10 * second}}
    assert score(old).value == 0
    assert "links, 290 new link errors" in score(new).detail
