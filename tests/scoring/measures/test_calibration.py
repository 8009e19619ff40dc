"""A reference knows what is normal for itself."""

from __future__ import annotations

import pytest

from watchtower.scoring.measures.calibration import (
    LEAST_DEVIATION,
    agreements,
    calibrate,
    closest,
    distribution,
    similarities,
)


def test_fewer_than_three_answers_are_no_distribution() -> None:
    with pytest.raises(ValueError, match="2 blessed answers are too few"):
        distribution([0.9, 0.9])


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        distribution([0.9, 0.9, float("nan")])


def test_each_reference_is_centred_on_its_own_mean() -> None:
    found = calibrate({"firm": [1.0, 1.0, 1.0], "loose": [0.7, 0.8, 0.9]})
    assert found["firm"].centred(0.9) == pytest.approx(-0.1)
    assert found["loose"].centred(0.9) == pytest.approx(0.1)
    assert found["loose"].floor < found["loose"].mean


def test_a_reference_that_never_varied_leans_on_the_others() -> None:
    found = calibrate({"firm": [1.0, 1.0, 1.0], "loose": [0.7, 0.8, 0.9]})
    assert found["firm"].sd > LEAST_DEVIATION
    assert found["firm"].sd < found["loose"].sd
    assert calibrate({"firm": [1.0, 1.0, 1.0]})["firm"].sd == LEAST_DEVIATION


def test_blessed_answers_are_compared_with_the_others_not_with_themselves() -> None:
    assert agreements(["a b", "a b", "c d"]) == [1.0, 1.0, 0.0]
    assert similarities([[1, 0], [1, 0], [0, 1]]) == [1.0, 1.0, 0.0]


def test_cosines_need_a_direction() -> None:
    assert closest([2, 0], [[0, 1], [1, 0]]) == 1.0
    with pytest.raises(ValueError, match="length zero"):
        closest([0, 0], [[1, 0]])
    with pytest.raises(ValueError, match="no blessed vector"):
        closest([1, 0], [])
