"""The scorer's share of CPU is kept over time, and live samples leave room for canaries."""

from __future__ import annotations

import pytest

from watchtower.scoring.measures.governor import Governor


def spent_in(seconds: float, cores: float, batch: float, *, live: bool) -> float:
    governor, now, spent = Governor(cores, 0.0), 0.0, 0.0
    while now < seconds:
        now += governor.rest(now, live=live)
        now += batch
        spent += batch
        governor.spend(batch, now)
    return spent


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("batch", [0.05, 0.5, 3.0])
def test_over_time_no_more_cpu_is_spent_than_allowed(batch: float, live: bool) -> None:
    assert spent_in(3600, 0.2, batch, live=live) == pytest.approx(720, abs=2 + 2 * batch)


def test_a_burst_goes_through_at_once_after_a_rest() -> None:
    governor = Governor(0.2, 0.0)
    governor.spend(1.5, 0.0)
    assert governor.rest(0.0, live=False) == 0
    assert governor.rest(0.0, live=True) == pytest.approx(2.5)


def test_a_clock_that_stands_still_gives_nothing_away() -> None:
    governor = Governor(1.0, 10.0)
    governor.spend(5.0, 10.0)
    assert governor.rest(9.0, live=False) == pytest.approx(3.0)


def test_no_cpu_is_no_setting() -> None:
    with pytest.raises(ValueError, match="without CPU"):
        Governor(0.0, 0.0)
