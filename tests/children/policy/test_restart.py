"""Whether and when another child follows."""

from __future__ import annotations

from watchtower.children.policy.backoff import Backoff
from watchtower.children.policy.restart import ExitKind, Restart, restart

BACKOFF = Backoff(first_seconds=1.0, longest_seconds=60.0, steady_seconds=60.0, failures=2)


def test_after_a_failure_the_next_one_starts_after_a_longer_pause() -> None:
    following = restart(ExitKind.FAILED, 5.0, BACKOFF)
    assert following is not None
    assert (following.after_seconds, following.backoff.failures) == (4.0, 3)


def test_a_child_that_asks_for_a_new_process_gets_it_at_once_and_is_no_failure() -> None:
    assert restart(ExitKind.AGAIN, 5.0, BACKOFF) == Restart(0.0, BACKOFF)


def test_after_the_final_one_there_is_none() -> None:
    assert restart(ExitKind.FINAL, 5.0, BACKOFF) is None
