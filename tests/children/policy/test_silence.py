"""How long a child has given no sign, without our own lateness."""

from __future__ import annotations

from watchtower.children.policy.silence import Silence

QUIET = Silence(period_seconds=0.5)


def test_silence_adds_up_look_by_look_and_a_sign_ends_it() -> None:
    silence = QUIET
    for _ in range(20):
        silence = silence.looked(0.5, sign=False)
    assert silence.seconds == 10.0
    assert silence.looked(0.5, sign=True).seconds == 0.0


def test_a_watch_that_stood_still_blames_itself() -> None:
    assert QUIET.looked(30.0, sign=False).seconds == 0.5


def test_looks_that_come_early_count_what_they_saw() -> None:
    assert QUIET.looked(0.2, sign=False).looked(0.2, sign=False).seconds == 0.4
