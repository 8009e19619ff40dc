"""What a client may take its time with, and for how long."""

from __future__ import annotations

from watchtower.taps.deadlines import LEAST_RATE, UnreadAnswer, UnsentRequest

SECOND = 10**9


def seconds_until_late(sending: UnsentRequest, arrived: int, most: int = 3600) -> int | None:
    for second in range(1, most):
        if sending.body_late(second * SECOND, 60.0, arrived):
            return second
    return None


def test_a_head_has_one_deadline_and_the_next_one_another() -> None:
    sending = UnsentRequest()
    assert not sending.head_late(1 * SECOND, 30.0)
    assert not sending.head_late(30 * SECOND, 30.0)
    assert sending.head_late(31 * SECOND, 30.0)
    sending.nothing_owed()
    assert not sending.head_late(32 * SECOND, 30.0)


def test_a_head_does_not_inherit_the_time_of_the_body_before_it() -> None:
    sending = UnsentRequest()
    assert not sending.body_late(1 * SECOND, 60.0, 1)
    assert not sending.head_late(40 * SECOND, 30.0)


def test_a_body_that_pauses_for_too_long_is_late_however_much_came_before() -> None:
    sending = UnsentRequest()
    assert not sending.body_late(1 * SECOND, 60.0, 10**9)
    assert seconds_until_late(sending, 0) == 61


def test_a_body_of_one_byte_a_second_is_late_soon_after_the_first_pause_would_be() -> None:
    assert seconds_until_late(UnsentRequest(), 1) == 62


def test_a_phone_may_upload_for_an_hour() -> None:
    assert seconds_until_late(UnsentRequest(), 10_000) is None
    assert seconds_until_late(UnsentRequest(), LEAST_RATE) is None


def test_an_answer_of_which_nothing_is_read_is_late_and_one_read_now_and_then_is_not() -> None:
    reading = UnreadAnswer()
    assert not reading.late(1 * SECOND, 1000, 650.0)
    assert not reading.late(650 * SECOND, 999, 650.0)
    assert not reading.late(1200 * SECOND, 999, 650.0)
    assert reading.late(1300 * SECOND, 999, 650.0)
    assert not reading.late(1301 * SECOND, 0, 650.0)
    assert not reading.late(9000 * SECOND, 0, 650.0)
