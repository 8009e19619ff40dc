"""What two answers say, without an encoder."""

from __future__ import annotations

import numpy as np
import pytest

from watchtower.scoring.measures.wording import WIDTH, formed, markup, worded


def alike(first: str, second: str) -> float:
    rows = worded([first, second])
    return float(rows[0] @ rows[1])


def test_each_text_is_a_unit_row_of_fixed_width() -> None:
    rows = worded(["a few words", "others entirely, and more of them"])
    assert rows.shape == (2, WIDTH)
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1.0, 1.0])


def test_a_text_without_words_points_nowhere() -> None:
    assert not worded([""]).any()
    assert worded([]).shape == (0, WIDTH)


def test_the_same_words_are_the_same_and_others_are_not() -> None:
    assert alike("The cat sat on the mat.", "the CAT sat on the mat.") == pytest.approx(1.0)
    assert alike("The cat sat on the mat.", "Quarterly revenue rose") < 0.2


def test_order_counts_a_little() -> None:
    assert 0.4 < alike("dog bites man", "man bites dog") < 0.99


def test_the_row_of_a_text_does_not_depend_on_its_neighbours() -> None:
    assert (worded(["x y", "unrelated"])[0] == worded(["x y"])[0]).all()


@pytest.mark.parametrize(
    ("text", "share"),
    [("", 0.0), ("plain\nprose", 0.0), ("# head\nplain", 0.5), ("- a\n- b\n\n1. c", 1.0), ("  | a | b |\nprose", 0.5)],
)
def test_markup_is_the_share_of_lines_that_are_not_prose(text: str, share: float) -> None:
    assert markup(text) == share


def test_form_is_length_lines_and_markup() -> None:
    assert formed([]).shape == (0, 3)
    short, long = formed(["a b", "- a b c d\n- e f g h"])
    assert long[0] > short[0]
    assert long[1] > short[1] == 0.0
    assert (short[2], long[2]) == (0.0, 1.0)
