"""Absence is proven by looks, and by nothing else."""

from __future__ import annotations

from tests.windows.traffic import START, Relay, absorbed, opened, seen
from watchtower.vocabulary.actions import Incarnation
from watchtower.vocabulary.facts import AnyFact, EngineSeen, LoopLagged
from watchtower.vocabulary.readings import Reading

ENGINE = Incarnation(id="100", started="1", boot_id="test-boot")
ANOTHER = Incarnation(id="200", started="1", boot_id="test-boot")


def none(at: float, ended: Incarnation | None = ENGINE) -> EngineSeen:
    return EngineSeen(at=START + at, known=True, because="exit status 137", ended=ended)


def unknown(at: float) -> EngineSeen:
    return EngineSeen(at=START + at, known=False, because="the keeper did not answer within 2.5 s")


def absent(*facts: AnyFact, now: float = 20.0, over: float = 60.0) -> Reading:
    return absorbed(facts).read("engine.absent", over, START + now)


def test_nothing_is_absent_while_an_engine_runs() -> None:
    assert absent(seen(START), seen(START + 18)).value == 0


def test_it_is_gone_from_the_first_to_the_last_look_that_found_nothing_and_says_how_it_ended() -> None:
    reading = absent(seen(START), none(10), none(12), none(14))
    assert (reading.value, reading.at, reading.because) == (4.0, START + 14, "exit status 137")


def test_before_the_first_look_nobody_knows() -> None:
    assert absent().because == "the adapter has not looked yet"


def test_an_engine_that_never_came_up_is_missed_like_one_that_died() -> None:
    reading = absent(none(10, None), none(18, None))
    assert (reading.value, reading.because) == (8.0, "exit status 137")


def test_an_engine_that_died_before_we_came_is_missed_when_the_adapter_names_it() -> None:
    assert absent(none(10), none(18)).value == 8


def test_a_look_that_could_not_tell_is_unknown_and_the_proof_begins_anew() -> None:
    assert "did not answer" in absent(seen(START), none(10), none(12), unknown(14)).because
    assert absent(seen(START), none(10), unknown(14), none(16), none(18)).value == 2


def test_an_adapter_that_stopped_looking_proves_nothing() -> None:
    assert absent(seen(START), none(2), none(4), now=9, over=5).value == 2
    assert "last looked 6 s ago" in absent(seen(START), none(2), none(4), now=10, over=5).because


def test_after_we_stood_still_ourselves_the_proof_begins_anew() -> None:
    lag = LoopLagged(at=START + 15, seconds=9)
    assert not absent(seen(START), none(4), none(5), lag).known
    assert not absent(seen(START), none(4), lag, none(14)).known, "a look from before"
    assert absent(seen(START), none(4), lag, none(16), none(18)).value == 2


def test_the_next_engine_ends_it() -> None:
    assert absent(seen(START), none(10), none(14), seen(START + 16, id="200")).value == 0


def test_the_warm_up_of_an_engine_does_not_hide_its_death() -> None:
    reading = absent(seen(START), seen(START + 5, id="200"), none(10, ANOTHER), none(18, ANOTHER))
    assert reading.value == 8


def test_no_token_is_owed_by_an_engine_that_is_gone() -> None:
    """Its connections may linger in a child that inherited them."""
    relay = Relay()
    relay.frame([opened("a", relay.now)])
    relay.silence(20)
    facts = [seen(START), *relay.facts]
    assert absorbed(facts).read("token_progress.stalled", 60, relay.now).value == 20
    reading = absorbed([*facts, none(20)]).read("token_progress.stalled", 60, relay.now)
    assert reading.because == "no engine runs, so no token is owed"


def test_the_engine_after_a_dead_one_warms_up_even_if_we_never_saw_the_dead_one_run() -> None:
    windows = absorbed([none(0), seen(START + 5, id="200")])
    assert windows.clean_since == START + 5
