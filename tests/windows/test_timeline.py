"""Sub-windows slide by themselves, fold into tens after ten minutes, and are forgotten when too old."""

from __future__ import annotations

from watchtower.windows.timeline import FINE_SECONDS, Timeline


class Tally:
    def __init__(self) -> None:
        self.count = 0

    def take_in(self, other: Tally) -> None:
        self.count += other.count


def tally(timeline: Timeline[Tally], after: float, until: float) -> int:
    return sum(part.count for part in timeline.between(after, until))


def filled(seconds: int, longest: float = 3600, start: float = 100.5) -> Timeline[Tally]:
    timeline = Timeline(Tally, longest)
    for second in range(seconds):
        part = timeline.at(start + second)
        assert part is not None
        part.count += 1
    return timeline


def test_a_window_holds_only_sub_windows_that_begin_inside_it() -> None:
    timeline = filled(60)
    assert tally(timeline, 130.5, 160.0) == 30
    assert tally(timeline, 130.6, 160.0) == 29


def test_an_hour_takes_few_entries_and_loses_nothing_inside_the_hour() -> None:
    timeline = filled(4000)
    assert len(timeline) <= FINE_SECONDS + 310
    assert tally(timeline, 100.5 + 400, 5000) == 3600


def test_what_is_older_than_the_longest_window_is_forgotten() -> None:
    timeline = filled(2000, longest=100)
    assert tally(timeline, 0, 5000) <= 610
    assert timeline.at(200.0) is None


def test_a_late_fact_lands_where_it_belongs() -> None:
    timeline = filled(1000)
    late = timeline.at(100.5 + 55)
    assert late is not None
    late.count += 1
    assert tally(timeline, 100.5 + 50, 100.5 + 59) == 11


def test_every_write_changes_the_version() -> None:
    timeline = filled(1)
    before = timeline.version
    timeline.at(100.5)
    assert timeline.version != before
