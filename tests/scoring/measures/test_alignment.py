"""Answers of different allowed length meet where both were allowed to speak."""

from __future__ import annotations

import pytest

from watchtower.scoring.measures.alignment import aligned
from watchtower.scoring.measures.texts import Completion

LONG = "one two three four five six"


def test_whole_answers_are_compared_whole() -> None:
    assert aligned(Completion(LONG, "stop"), [Completion("one two", "stop")]) == (LONG, ["one two"])


def test_a_longer_answer_counts_as_far_as_the_limited_one_went_less_its_last_word() -> None:
    assert aligned(Completion(LONG, "stop"), [Completion("one two thr", "length")]) == ("one two", ["one two"])


def test_a_shorter_limit_cuts_the_blessed_answers() -> None:
    said, blessed = aligned(Completion("one two th", "length"), [Completion(LONG, "length"), Completion(LONG, "stop")])

    assert (said, blessed) == ("one two", ["one two", "one two"])


def test_a_limit_of_one_word_leaves_that_word() -> None:
    assert aligned(Completion("on", "length"), [Completion(LONG, "stop")]) == ("on", ["one"])


def test_without_a_blessed_answer_there_is_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match="no blessed answer"):
        aligned(Completion(LONG), [])
