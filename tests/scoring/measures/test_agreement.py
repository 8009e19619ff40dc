"""The common beginning counts, and only that."""

from __future__ import annotations

import pytest

from watchtower.scoring.measures.agreement import prefix_agreement

WORDS = " ".join(f"w{number}" for number in range(40))


def test_the_same_sixteen_words_agree_whatever_follows() -> None:
    assert prefix_agreement(WORDS, [" ".join(WORDS.split()[:16]) + " another end"]) == 1.0


def test_what_comes_after_the_first_difference_does_not_count() -> None:
    other = WORDS.replace("w4 ", "x4 ")
    assert prefix_agreement(WORDS, [other]) == 4 / 16


def test_the_closest_blessed_answer_counts() -> None:
    assert prefix_agreement("yes it is", ["no", "yes it was"]) == pytest.approx(2 / 3)


def test_a_short_answer_that_goes_on_is_not_the_same() -> None:
    assert prefix_agreement("Paris", ["Paris is the capital"]) == 0.25
    assert prefix_agreement("Paris", ["Paris"]) == 1.0


def test_two_empty_answers_agree_and_one_does_not() -> None:
    assert prefix_agreement("", [""]) == 1.0
    assert prefix_agreement("", ["word"]) == 0.0


def test_without_a_blessed_answer_there_is_no_agreement() -> None:
    with pytest.raises(ValueError, match="no blessed answer"):
        prefix_agreement("word", [])
