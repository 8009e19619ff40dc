from __future__ import annotations

import math

from watchtower.vocabulary.facts import Opened
from watchtower.windows.observations import Observations
from watchtower.windows.roster import Roster
from watchtower.windows.window_settings import WindowSettings

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def opened(at: float = 10.0, model: str = "", traceparent: str = "") -> Opened:
    return Opened(at=at, path="/v1/completions", model=model, request_bytes=-1, traceparent=traceparent)


def test_telling_again_of_an_exchange_changes_its_model_and_nothing_else() -> None:
    roster = Roster()
    first = roster.opened("a", 0, opened(model="asked", traceparent=TRACE))
    again = roster.opened("a", 1, opened(at=99.0, model="answered"))
    assert again is first
    assert (again.model, again.opened_at, again.pid) == ("answered", 10.0, 0)
    assert again.trace_id == TRACE.split("-")[1]
    assert again.request_bytes == 0
    assert roster.opened("a", 0, opened()).model == "answered", "a model that is known stays"
    assert len(roster) == 1


def test_a_worker_that_left_takes_its_exchanges_along_and_no_others() -> None:
    roster = Roster()
    for number in range(4):
        roster.opened(str(number), number % 2, opened())
    assert (roster.of_worker(0), roster.of_worker(1)) == (2, 2)
    roster.forget_worker(0)
    assert [roster.find(str(number)) is not None for number in range(4)] == [False, True, False, True]


def test_another_incarnation_owes_no_token_of_the_one_before() -> None:
    roster = Roster()
    roster.opened("a", 0, opened())
    roster.progressed(12.0)
    roster.progressed(11.0)
    assert roster.progress_at == 12.0
    roster.forget_all()
    assert (len(roster), roster.owed_since(), roster.progress_at) == (0, None, -math.inf)


def test_the_oldest_and_those_who_wait_are_known_until_they_close() -> None:
    roster = Roster()
    roster.opened("a", 0, opened(at=5.0))
    roster.opened("b", 0, opened(at=3.0)).first_token_at = 4.0
    assert (roster.owed_since(), roster.waiting_for_first_token()) == (3.0, 1)
    roster.closed("b")
    roster.closed("never seen")
    assert (roster.owed_since(), roster.waiting_for_first_token()) == (5.0, 1)


def test_the_longest_open_gap_counts_from_the_last_token_and_from_no_earlier_than_is_known() -> None:
    roster = Roster()
    assert roster.longest_open_gap(20.0, since=-math.inf) == 0.0
    roster.opened("silent", 0, opened())
    roster.opened("a", 0, opened()).last_token_at = 12.0
    roster.opened("b", 0, opened()).last_token_at = 18.0
    assert roster.longest_open_gap(20.0, since=-math.inf) == 8.0
    assert roster.longest_open_gap(20.0, since=15.0) == 5.0


def test_the_open_exchanges_of_one_tag_are_those_that_are_observed_there() -> None:
    roster, live, batch = Roster(), Observations(WindowSettings()), Observations(WindowSettings())
    exchange = roster.opened("a", 0, opened())
    exchange.labelled, exchange.last_token_at = (live,), 12.0
    roster.opened("b", 0, opened()).last_token_at = 2.0
    assert roster.observed_in(live) == [exchange]
    assert roster.observed_in(batch) == []
    assert roster.longest_open_gap(20.0, 0.0, roster.observed_in(live)) == 8.0
    assert roster.longest_open_gap(20.0, 0.0, roster.observed_in(batch)) == 0.0


def test_an_instant_that_is_none_changes_nothing() -> None:
    roster = Roster()
    roster.opened("a", 1, Opened(at=5.0, path="/v1/completions"))
    known = roster.opened("a", 1, Opened(at=math.nan, path="/v1/completions"))
    assert known.asked_at == 5.0
