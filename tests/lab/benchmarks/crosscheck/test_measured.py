"""Buckets: what a histogram can say of a quantile, and what it cannot."""

from __future__ import annotations

import math

import pytest

from watchtower.lab.benchmarks.crosscheck.measured import Buckets


def test_a_quantile_lies_in_the_bucket_that_its_rank_falls_into() -> None:
    buckets = Buckets((0.1, 1.0, math.inf), (4, 9, 10), 8)
    assert buckets.bucket(0.4) == (0.0, 0.1)
    assert buckets.bucket(0.5) == (0.1, 1.0)
    assert buckets.bucket(0.95) == (1.0, math.inf)
    distribution = buckets.distribution()
    assert distribution.count == 10
    assert distribution.statistics == {"mean": 0.8}
    assert distribution.buckets == {"p50": (0.1, 1.0), "p95": (1.0, math.inf)}


def test_a_histogram_with_other_bounds_is_another_histogram() -> None:
    with pytest.raises(ValueError, match="bounds"):
        Buckets((0.1, math.inf), (1, 2), 1).since(Buckets((0.2, math.inf), (1, 2), 1))


def test_nothing_has_no_quantile() -> None:
    assert Buckets((0.1, math.inf), (0, 0), 0).distribution().count == 0
    with pytest.raises(ValueError, match="no observation"):
        Buckets((0.1, math.inf), (0, 0), 0).bucket(0.5)
