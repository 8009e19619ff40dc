"""A scrape: series of a family added up, and what came between two looks."""

from __future__ import annotations

import math

from watchtower.lab.benchmarks.crosscheck.exposed import Scrape, histogram_since
from watchtower.lab.benchmarks.crosscheck.measured import Buckets

TEXT = """
# TYPE t_seconds histogram
t_seconds_bucket{{model="a",le="0.1"}} {a}
t_seconds_bucket{{model="a",le="1.0"}} 8
t_seconds_bucket{{model="a",le="+Inf"}} 8
t_seconds_sum{{model="a"}} 2
t_seconds_count{{model="a"}} 8
t_seconds_bucket{{model="b",le="0.1"}} 0
t_seconds_bucket{{model="b",le="1.0"}} 1
t_seconds_bucket{{model="b",le="+Inf"}} 2
t_seconds_sum{{model="b"}} 6
t_seconds_count{{model="b"}} 2
# TYPE asked_total counter
asked_total{{model="a"}} 5
asked_total{{model="b"}} 2
"""


def scrape(a: int) -> Scrape:
    return Scrape(TEXT.format(a=a))


def test_the_series_of_a_family_are_added_up() -> None:
    found = scrape(4).histogram("t_seconds")
    assert found == Buckets((0.1, 1.0, math.inf), (4, 9, 10), 8)
    assert scrape(4).total("asked") == 7
    assert scrape(4).histogram("none") is None
    assert scrape(4).total("none") == 0


def test_between_two_scrapes_there_is_what_came_after_the_first() -> None:
    since = histogram_since(scrape(6), scrape(4), "t_seconds")
    assert since == Buckets((0.1, 1.0, math.inf), (2, 0, 0), 0)
    assert histogram_since(scrape(6), Scrape(""), "t_seconds") == scrape(6).histogram("t_seconds")
