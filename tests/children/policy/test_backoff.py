"""Pauses grow with failures in a row, up to a limit, and begin anew after a child that lived."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from watchtower.children.policy.backoff import Backoff

BACKOFF = Backoff(first_seconds=0.5, longest_seconds=5.0, steady_seconds=30.0)


def pauses(*lived: float) -> list[float]:
    found, backoff = [], BACKOFF
    for seconds in lived:
        backoff = backoff.after(seconds)
        found.append(backoff.pause_seconds)
    return found


def test_nothing_failed_yet_no_pause() -> None:
    assert BACKOFF.pause_seconds == 0.0


def test_each_failure_doubles_the_pause_up_to_the_longest() -> None:
    assert pauses(1, 1, 1, 1, 1, 1) == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_child_that_lived_long_enough_starts_it_afresh() -> None:
    assert pauses(1, 1, 1, 30.0, 29.9) == [0.5, 1.0, 2.0, 0.5, 1.0]


@given(st.integers(0, 10**9))
def test_however_often_it_fails_the_pause_stays_within_its_limits(failures: int) -> None:
    backoff = Backoff(first_seconds=0.5, longest_seconds=5.0, steady_seconds=30.0, failures=failures).after(0.0)
    assert 0.5 <= backoff.pause_seconds <= 5.0
