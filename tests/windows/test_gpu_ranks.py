"""What is drawn together of one GPU over one window: means, rises, and the newest of what is a state."""

from __future__ import annotations

from typing import Any

import pytest

from watchtower.vocabulary.gpus import GpuSeen
from watchtower.windows.gpu_ranks import Rank, Track


def drawn(*told: dict[str, Any], until: float | None = None) -> Rank:
    """One report a second; the window is all of them."""
    track = Track("GPU-1", 300)
    for second, values in enumerate(told, start=1):
        track.add(float(second), GpuSeen(uuid="GPU-1", **values))
    return track.rank(0.0, until or float(len(told)))


def test_the_momentary_is_averaged_and_silence_is_no_zero() -> None:
    rank = drawn({"power_watts": 100.0}, {}, {"power_watts": 300.0}, {"power_watts": float("nan")})
    assert rank.power_watts == 200.0
    assert rank.sm_clock_hz is None and rank.pcie is None


def test_only_rises_of_a_counter_count() -> None:
    assert drawn({"nvlink_errors": 900}, {"nvlink_errors": 902}, {}, {"nvlink_errors": 1}).link_errors == 2


def test_throttled_time_is_a_share_of_the_time_between_the_counts() -> None:
    counts = [{"throttled_ns": {"thermal": second * 250_000_000}} for second in range(5)]
    assert drawn(*counts, {}, {}).throttled["thermal"] == pytest.approx(0.25)


def test_a_reason_that_is_only_in_the_mask_is_a_share_of_the_looks() -> None:
    rank = drawn(
        {"throttle_reasons": 0x8}, {"throttle_reasons": 0x0}, {"throttle_reasons": 0x4}, {"throttle_reasons": 0x8}
    )
    assert rank.throttled == {"thermal": 0.0, "power_brake": 0.0, "hw_slowdown": 0.5}


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ([{"ecc_uncorrected": 1}, {"ecc_uncorrected": 2}], "uncorrected memory errors"),
        ([{"ecc_uncorrected": 5}, {"ecc_uncorrected": 5}], ""),
        ([{"remap_failed": True}], "remapping of memory rows failed"),
        ([{"remap_pending": True}], "memory rows wait for a reset to be remapped"),
        ([{"recovery_action": "drain_and_reset"}], "the driver asks for drain_and_reset"),
        ([{"recovery_action": "none"}], ""),
        ([{"remap_pending": True}, {"remap_pending": False}], ""),
    ],
)
def test_damage_is_what_must_be_mended_now(told: list[dict[str, Any]], says: str) -> None:
    assert drawn(*told).damage == says


def test_what_is_older_than_the_longest_window_is_forgotten() -> None:
    track = Track("GPU-1", 10)
    for second in range(1000):
        track.add(float(second), GpuSeen(uuid="GPU-1", power_watts=1.0))
    assert len(track._history) <= 11
