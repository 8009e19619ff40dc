"""Time-weighted mean and deviation of samples of unequal length, over any window."""

from __future__ import annotations

import math
import random
from statistics import fmean

import pytest

from watchtower.vocabulary.gpus import UtilizationSample
from watchtower.windows.busyness import Busy, Busyness


def filled(*samples: tuple[float, float, float], longest: float = 300) -> Busyness:
    busyness = Busyness(longest)
    for at, seconds, busy in samples:
        busyness.add(UtilizationSample(at, seconds, busy), at)
    return busyness


def test_a_sample_weighs_as_long_as_it_lasted() -> None:
    found = filled((1.0, 1.0, 1.0), (4.0, 3.0, 0.0)).between(0, 4)
    assert (found.seconds, found.mean) == (4.0, 0.25)
    assert found.deviation == pytest.approx(math.sqrt(0.25 * 0.75))


def test_a_window_holds_what_ends_inside_it() -> None:
    busyness = filled((1.0, 1.0, 0.0), (2.0, 1.0, 0.5), (3.0, 1.0, 1.0))
    assert busyness.between(1.0, 2.0) == Busy(1.0, 0.5, 0.0)
    assert busyness.between(3.0, 9.0) == Busy(0.0, 0.0, 0.0)


def test_overlapping_samples_do_not_count_a_second_twice() -> None:
    found = filled((1.0, 1.0, 1.0), (1.5, 1.0, 0.0)).between(0, 2)
    assert found.seconds == 1.5 and found.mean == pytest.approx(2 / 3)


def test_an_overtaken_sample_is_ignored() -> None:
    assert filled((2.0, 1.0, 1.0), (1.0, 1.0, 0.0), (2.0, 1.0, 0.0)).between(0, 2) == Busy(1.0, 1.0, 0.0)


def test_a_day_is_as_exact_as_a_minute_and_costs_no_more_memory() -> None:
    chance = random.Random(5)
    busyness, told = Busyness(60), [chance.random() for _ in range(86_400)]
    for at, busy in enumerate(told, start=1):
        busyness.add(UtilizationSample(float(at), 1.0, busy), float(at))
    assert busyness.between(86_340, 86_400).mean == pytest.approx(fmean(told[-60:]), abs=1e-9)
    assert len(busyness._ends) <= 2 * 60 + 2
