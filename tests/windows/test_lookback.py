"""What is added up once serves every window that ends at that instant, and is void after the next write."""

from __future__ import annotations

import random

from watchtower.windows.lookback import Lookback
from watchtower.windows.timeline import Timeline


class Tally:
    def __init__(self) -> None:
        self.count = 0

    def take_in(self, other: Tally) -> None:
        self.count += other.count


class Counting:
    """Adds up, and remembers how many sub-windows it was given each time."""

    def __init__(self) -> None:
        self.given: list[int] = []

    def __call__(self, parts: list[Tally]) -> list[int]:
        self.given.append(len(parts))
        return [sum(part.count for part in parts[start:]) for start in range(len(parts) + 1)]


def write(timeline: Timeline[Tally], at: float) -> None:
    part = timeline.at(at)
    assert part is not None
    part.count += 1


def test_every_window_reads_what_its_sub_windows_hold() -> None:
    chance = random.Random(3)
    timeline = Timeline(Tally, 3600)
    lookback = Lookback(timeline, Counting())
    now = 50.25
    for _ in range(2000):
        now += chance.uniform(0.1, 4)
        write(timeline, now - chance.choice([0, 0, 0, 2, 700]))
        if chance.random() < 0.1:
            until = now - chance.choice([0, 0, 30])
            for over in (1, 7, 59.5, 650, 3600):
                past, start = lookback.since(until - over, until)
                assert past[start] == sum(part.count for part in timeline.between(until - over, until))


def test_between_two_writes_nothing_is_added_up_twice() -> None:
    timeline, adding = Timeline(Tally, 3600), Counting()
    lookback = Lookback(timeline, adding)
    for second in range(100):
        write(timeline, second)
    for over in (10, 60, 99):
        lookback.since(99.5 - over, 99.5)
    before = len(adding.given)
    for over in range(1, 99):
        lookback.since(99.5 - over, 99.5)
    assert len(adding.given) == before


def test_a_tick_that_asks_for_the_same_windows_adds_up_no_more_than_these() -> None:
    timeline, adding = Timeline(Tally, 3600), Counting()
    lookback = Lookback(timeline, adding)
    for second in range(500):
        write(timeline, second)
        for over in (5, 60):
            lookback.since(second - over, second)
    assert adding.given[-1] <= 62
    assert len(adding.given) <= 500 + 3
