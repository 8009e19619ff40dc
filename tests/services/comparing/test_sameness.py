"""Same, different or too little data: the verdict, its reason and what moved most."""

from __future__ import annotations

import random

import numpy as np
import pytest

from watchtower.services.comparing.answer_files import FileAnswer
from watchtower.services.comparing.sameness import LEAST_PROMPTS, ComparisonReport, Sameness, Vectors, judge, pairs

CHOICE = "red green blue small large quick slow old new bright dark warm cold north south east west up down in"
WORDS = CHOICE.split()


def said(seed: int, prompt: int, words: int = 60, extra: str = "") -> str:
    """A sampled answer: each prompt has its own words, each run its own choice of them."""
    chance = random.Random(f"{seed}-{prompt}")
    own = WORDS[prompt % 10 :]
    return " ".join(chance.choice(own) for _ in range(words + chance.randrange(-10, 11))) + extra + "."


def judged(count: int, **candidate: object) -> ComparisonReport:
    words, extra = int(str(candidate.get("words", 60))), str(candidate.get("extra", ""))
    paired = [(FileAnswer(str(i), said(1, i)), FileAnswer(str(i), said(2, i, words, extra))) for i in range(count)]
    return judge(paired, flips=499)


def test_two_runs_of_one_model_are_the_same() -> None:
    found = judged(800)
    assert found.outcome is Sameness.SAME, found.because


def test_few_prompts_are_too_little_data() -> None:
    assert judged(LEAST_PROMPTS - 1).outcome is Sameness.TOO_LITTLE_DATA
    few = judged(40)
    assert few.outcome is Sameness.TOO_LITTLE_DATA
    assert "may differ by more than tolerated" in few.because


@pytest.mark.parametrize(
    ("candidate", "measure"), [({"words": 80}, "length"), ({"extra": " hope this helps"}, "wording")]
)
def test_another_model_is_different_and_says_in_what(candidate: dict[str, object], measure: str) -> None:
    found = judged(200, **candidate)
    assert found.outcome is Sameness.DIFFERENT
    effect = next(effect for effect in found.effects if effect.name == measure)
    assert effect.p < 0.01
    assert not effect.inside


def test_identical_answers_of_a_greedy_engine_are_the_same() -> None:
    found = judge([(FileAnswer(str(i), said(1, i)), FileAnswer(str(i), said(1, i))) for i in range(30)])
    assert (found.outcome, found.identical, found.p) == (Sameness.SAME, 30, 1.0)


def test_a_second_run_shows_what_has_no_direction() -> None:
    """Every answer is close to the baseline's rerun; the candidate says something else each time."""
    base = [said(1, i) for i in range(120)]
    rerun = [text.replace("red", "blue") for text in base]
    found = judge(
        [(FileAnswer(str(i), text), FileAnswer(str(i), said(9, i))) for i, text in enumerate(base)], again=rerun
    )
    assert found.outcome is Sameness.DIFFERENT
    assert "distance" in found.because


def test_meaning_counts_where_there_is_an_encoder() -> None:
    chance = np.random.default_rng(0)
    base = chance.normal(0, 1, (200, 16))
    moved = base + chance.normal(0, 0.3, base.shape) + 0.3
    unit = [(rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32) for rows in (base, moved)]
    paired = [(FileAnswer(str(i), said(1, i)), FileAnswer(str(i), said(2, i))) for i in range(200)]
    found = judge(paired, vectors=Vectors(*unit), encoder="an encoder", flips=499)
    assert found.outcome is Sameness.DIFFERENT
    assert "meaning" in found.because


def test_what_moved_most_comes_first_and_faults_before_all() -> None:
    paired = [(FileAnswer(str(i), said(1, i)), FileAnswer(str(i), said(1, i))) for i in range(30)]
    paired[7] = (paired[7][0], FileAnswer("7", "Something else entirely stands here now, all of it."))
    paired[9] = (paired[9][0], FileAnswer("9", ""))
    found = judge(paired)
    assert [prompt.id for prompt in found.per_prompt[:2]] == ["9", "7"]
    assert found.per_prompt[0].faults == ["empty"]


def test_only_what_both_answered_is_paired() -> None:
    left, right = (
        {"a": FileAnswer("a", "1"), "b": FileAnswer("b", "2")},
        {"b": FileAnswer("b", "3"), "c": FileAnswer("c", "4")},
    )
    assert pairs(left, right) == [(left["b"], right["b"])]
