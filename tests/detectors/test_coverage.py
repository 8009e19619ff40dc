"""A few points stand for many."""

from __future__ import annotations

import numpy as np

from watchtower.detectors.coverage import spread

CORNERS = np.eye(3, dtype=np.float32)


def test_every_corner_is_covered_before_any_twice() -> None:
    points = np.concatenate([CORNERS[[0]].repeat(50, 0), CORNERS[[1]].repeat(3, 0), CORNERS[[2]]])
    chosen = spread(points, 3)

    assert {int(points[index].argmax()) for index in chosen} == {0, 1, 2}
    assert points[chosen[0]].argmax() == 0  # what is asked most comes first


def test_equals_are_chosen_once_and_nothing_gives_nothing() -> None:
    assert len(spread(CORNERS[[0, 0, 1]], 10)) == 2
    assert spread(np.zeros((0, 3), dtype=np.float32), 5) == []
