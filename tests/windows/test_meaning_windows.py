"""Readings over the newest answer of each reference, and every reason not to have one."""

from __future__ import annotations

import pytest

from watchtower.vocabulary.actions import Incarnation
from watchtower.vocabulary.facts import CanaryRound, EngineSeen, ReferenceAnswered, ReferencesKnown
from watchtower.vocabulary.readings import Reading
from watchtower.windows.window_settings import WindowSettings
from watchtower.windows.windows import Windows

ALL = (
    "similarity.mean",
    "similarity.floor",
    "prefix_agreement.mean",
    "cache_agreement.mean",
    "logprob_shift.mean",
    "logprob_shift.excess",
    "malformed_output.ratio",
)


class House:
    def __init__(self, usable: int = 20, because: str = "", encoder_because: str = "") -> None:
        self.windows = Windows(WindowSettings(minimum_answers=8))
        if usable >= 0:
            self.windows.absorb(
                ReferencesKnown(at=1.0, usable=usable, because=because, encoder_because=encoder_because)
            )

    def answer(self, at: float, count: int = 10, **scores: object) -> None:
        for number in range(count):
            told = {
                "logprob_shift": 0.001,
                "logprob_allowed": 0.002,
                "prefix_agreement": 1.0,
                "similarity": 0.97,
                "cache_agreement": 1.0,
                **scores,
            }
            self.windows.absorb(ReferenceAnswered(at=at, round=1, reference=f"q{number}", **told))  # type: ignore[arg-type]

    def read(self, name: str, now: float = 110.0, over: float = 60.0) -> Reading:
        return self.windows.read(name, over, now)


def test_every_family_has_a_mean_over_the_references_with_its_band() -> None:
    house = House()
    house.answer(100.0)
    read = {name: house.read(name) for name in ALL}
    assert [read[name].value for name in ALL] == pytest.approx([0.97, 0.97, 1.0, 1.0, 0.001, 0.5, 0.0])
    assert all(reading.samples == 10 for reading in read.values())
    malformed = read["malformed_output.ratio"]
    assert malformed.low == 0.0 and malformed.high is not None and malformed.high > 0.1


def test_a_reference_counts_once_and_by_its_newest_answer() -> None:
    house = House()
    house.answer(90.0, similarity=0.97)
    house.answer(100.0, similarity=0.90)
    assert house.read("similarity.mean").value == pytest.approx(0.90)
    assert house.read("similarity.mean").samples == 10


def test_the_floor_is_the_reference_that_moved_most() -> None:
    house = House()
    house.answer(100.0)
    house.answer(101.0, count=1, similarity=0.4)
    assert house.read("similarity.floor").value == pytest.approx(0.4)
    band = house.read("similarity.mean")
    assert band.low is not None and band.high is not None and band.low < 0.913 < band.high <= 1.0


def test_the_cause_that_most_answers_name_stands_beside_the_number() -> None:
    house = House()
    house.answer(100.0, cause="weights", logprob_shift=0.7)
    reading = house.read("logprob_shift.mean")
    assert "other weights" in reading.detail and "10 of 10 references" in reading.detail
    house.answer(105.0)
    assert house.read("logprob_shift.mean").detail == ""


def test_a_cause_that_few_answers_name_is_not_told() -> None:
    house = House()
    house.answer(100.0)
    house.answer(101.0, count=4, cause="kv_cache", cache_agreement=0.2)
    assert house.read("logprob_shift.mean").detail == "", "four of the ten whose cache was looked at"
    house.answer(102.0, cause="numerics", logprob_shift=0.004)
    house.answer(103.0, count=1, cause="weights", logprob_shift=0.2)
    assert "compute differently" in house.read("logprob_shift.excess").detail


def test_an_incident_in_mid_round_already_has_its_cause() -> None:
    house = House()
    house.answer(100.0)
    house.answer(101.0, count=2, cause="weights", logprob_shift=0.7)
    assert house.read("logprob_shift.mean").detail == ""
    house.answer(101.0, count=3, cause="weights", logprob_shift=0.7)
    assert "other weights" in house.read("logprob_shift.mean").detail


def test_the_excess_is_over_what_all_references_together_may_move() -> None:
    house = House()
    house.answer(100.0, logprob_shift=0.004)
    house.answer(101.0, count=5, logprob_shift=0.004, logprob_allowed=0.006)
    reading = house.read("logprob_shift.excess")
    assert reading.value == pytest.approx(1.0) and reading.low == pytest.approx(1.0)


def test_text_checks_that_fail_are_a_share() -> None:
    house = House()
    house.answer(100.0)
    house.answer(101.0, count=5, faults=["loop", "wrong_script"])
    assert house.read("malformed_output.ratio").value == pytest.approx(0.5)


@pytest.mark.parametrize("name", ALL)
def test_without_references_everything_is_unknown_and_says_what_to_run(name: str) -> None:
    assert "not known yet" in House(usable=-1).read(name).because
    house = House(usable=0, because="the references are for another key (model a → b): capture again")
    house.answer(100.0)
    assert (house.read(name).value, house.read(name).because) == (
        None,
        "the references are for another key (model a → b): capture again",
    )


def test_without_an_encoder_only_similarity_is_unknown() -> None:
    house = House(encoder_because="no encoder is installed: pip install x; then capture again")
    house.answer(100.0, similarity=None)
    assert "pip install x" in house.read("similarity.mean").because
    assert house.read("logprob_shift.mean").value == pytest.approx(0.001)


def test_the_prefix_cache_is_judged_by_the_few_that_read_it() -> None:
    house = House()
    house.answer(100.0, cache_agreement=None)
    assert "0 of 3" in house.read("cache_agreement.mean").because
    house.answer(101.0, count=4, cache_agreement=0.1, cause="kv_cache")
    reading = house.read("cache_agreement.mean")
    assert reading.value == pytest.approx(0.1) and reading.samples == 4
    assert "prefix cache" in reading.detail


def test_an_engine_without_logprobs_says_so() -> None:
    house = House()
    house.answer(100.0, logprob_shift=None)
    assert "no prompt_logprobs" in house.read("logprob_shift.mean").because
    assert house.read("prefix_agreement.mean").value == 1.0


def test_too_few_or_too_old_answers_are_unknown_and_an_unasked_round_says_why() -> None:
    house = House()
    house.answer(100.0, count=7)
    assert "7 of 8" in house.read("prefix_agreement.mean").because
    house.answer(20.0)
    assert "7 of 8" in house.read("prefix_agreement.mean").because
    house.windows.absorb(CanaryRound(at=105.0, round=2, asked=0, answered=0, because="the engine is saturated: 3 wait"))
    assert house.read("prefix_agreement.mean").because == "the engine is saturated: 3 wait"


def test_a_small_set_needs_no_more_answers_than_it_has() -> None:
    house = House(usable=4)
    house.answer(100.0, count=4)
    assert house.read("prefix_agreement.mean").value == 1.0


def test_an_unanswered_reference_says_nothing() -> None:
    house = House()
    house.answer(100.0, because="no answer in time")
    assert house.read("prefix_agreement.mean").value is None


def test_other_references_and_another_engine_start_anew() -> None:
    house = House()
    house.answer(100.0)
    house.windows.absorb(ReferencesKnown(at=105.0, usable=20))
    assert house.read("similarity.mean").value is None
    house.answer(106.0)
    for at, pid in ((107.0, "1"), (108.0, "2")):
        house.windows.absorb(EngineSeen(at=at, known=True, incarnation=Incarnation(id=pid, started="1", boot_id="b")))
    house.answer(107.5)
    assert house.read("similarity.mean").value is None
    house.answer(109.0)
    assert house.read("similarity.mean").value == pytest.approx(0.97)


def test_a_sick_data_parallel_rank_does_not_hide_in_the_mean_of_all() -> None:
    house = House()
    for rank in range(4):
        sick = rank == 2
        house.answer(100.0, rank=rank, logprob_shift=0.7 if sick else 0.0, cause="weights" if sick else "")
    shift = house.read("logprob_shift.mean")
    assert shift.value == pytest.approx(0.7)
    assert shift.samples == 10
    assert "10 of 10 references, data-parallel rank 2" in shift.detail


def test_a_rank_that_answered_too_little_is_not_judged() -> None:
    house = House()
    house.answer(100.0, rank=0, prefix_agreement=0.9)
    house.answer(100.0, count=3, rank=1, prefix_agreement=0.1)
    assert house.read("prefix_agreement.mean").value == pytest.approx(0.9)
