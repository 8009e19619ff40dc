"""Where a round of answers turns: each threshold of the judge from just below and from the line itself."""

from __future__ import annotations

import pytest

from watchtower.canaries.asking import Replies
from watchtower.canaries.rounds import Judged
from watchtower.services.meaning.answer_judge import AnswerEvidence, AnswerJudge
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.embeddings import Embedding
from watchtower.vocabulary.facts import ReferenceAnswered
from watchtower.vocabulary.references import (
    Blessed,
    EngineAnswer,
    Normal,
    Prompt,
    Reference,
    ReferenceKey,
    ReferenceSet,
)

MINIMUM = 8
FACT = ReferenceAnswered(at=1.0, round=1, reference="q")
WORDS = [f"word{n}" for n in range(16)]
REFERENCE = Reference(
    prompt=Prompt(id="q", text="Why?"), answers=[Blessed(text=" ".join(WORDS))], agreement=Normal(1, 0)
)
REFERENCES = ReferenceSet(
    id="ref-1",
    key=ReferenceKey(model="m", template="chat", sampling="greedy", prompts="p"),
    captured_wall=1.0,
    repeats=3,
    references=[REFERENCE],
)


class NoEncoder:
    async def embed(self, texts: object, *, live: bool = False) -> Embedding:
        return Embedding(None, "no encoder is installed")


JUDGE = AnswerJudge(NoEncoder(), HandClock(), MINIMUM)


def answer(
    cause: str = "", *, change: float = 0.0, sd: float = 0.0, checked: bool = False, faulty: bool = False
) -> Judged:
    return Judged(FACT, AnswerEvidence(None, change, sd, cause, checked, faulty))


def round_of(*answers: Judged, of: int = 10) -> tuple[bool | None, str]:
    """These answers, and as many clean ones as are wanting."""
    return JUDGE.round([*answers, *(answer() for _ in range(of - len(answers)))])


def test_fewer_answers_than_the_minimum_say_nothing() -> None:
    assert round_of(of=MINIMUM - 1) == (None, "")
    assert round_of(of=MINIMUM) == (True, "")


def test_half_of_the_answers_speak_for_another_template() -> None:
    assert round_of(*[answer("template")] * 4) == (True, "")
    assert round_of(*[answer("template")] * 5) == (False, "template")


def test_half_of_the_answers_that_could_read_the_cache_speak_for_a_sick_one() -> None:
    checked = [answer(checked=True)] * 3
    assert round_of(*[answer("kv_cache", checked=True)] * 2, *checked) == (True, "")
    assert round_of(*[answer("kv_cache", checked=True)] * 3, *checked) == (False, "kv_cache")
    assert round_of(answer("kv_cache", checked=True)) == (True, ""), "a single one never does"


def test_half_of_the_answers_malformed_is_a_change_of_no_known_cause() -> None:
    assert round_of(*[answer(faulty=True)] * 4) == (True, "")
    assert round_of(*[answer(faulty=True)] * 5) == (False, "")


def test_words_that_fall_away_by_more_than_a_quarter_are_a_change() -> None:
    assert round_of(*[answer(change=-0.24)] * 10) == (True, "")
    assert round_of(*[answer(change=-0.26)] * 10) == (False, "")


def test_words_that_fall_away_within_their_usual_noise_are_none() -> None:
    """Ten answers of standard deviation 0.5: three standard errors of their mean are 0.47."""
    assert round_of(*[answer(change=-0.40, sd=0.5)] * 10) == (True, "")
    assert round_of(*[answer(change=-0.50, sd=0.5)] * 10) == (False, "")


@pytest.mark.parametrize(("words_alike", "cause"), [(7, "kv_cache"), (8, ""), (9, "")])
async def test_a_cached_answer_is_another_one_below_half_of_its_first_words(words_alike: int, cause: str) -> None:
    fresh = EngineAnswer(text=" ".join(WORDS))
    cached = EngineAnswer(text=" ".join(WORDS[:words_alike] + ["other"] * (16 - words_alike)))
    judged = await JUDGE.answer(REFERENCES, REFERENCE, Replies(fresh=fresh, cached=cached), 1)
    assert judged.fact.cache_agreement == words_alike / 16
    assert judged.fact.cause == cause
