"""How long a child may be silent."""

from __future__ import annotations

from watchtower.children.policy.patience import Patience


def test_a_child_that_starts_gets_more_time_than_one_that_is_ready() -> None:
    patience = Patience(start_seconds=30.0, silent_seconds=10.0)
    assert patience.limit(ready=False) == 30.0
    assert patience.limit(ready=True) == 10.0


def test_a_child_that_speaks_only_when_asked_may_be_silent_for_ever() -> None:
    assert Patience(start_seconds=30.0).limit(ready=True) is None
