"""Cumulative buckets count what is at or below each bound, and only ever grow."""

from __future__ import annotations

from tests.windows.traffic import START, Relay, absorbed, opened, seen, token
from watchtower.vocabulary.facts import ExchangeNews, Opened
from watchtower.vocabulary.metrics import OTHER
from watchtower.windows import LatencyTotals
from watchtower.windows.histogram import Histogram
from watchtower.windows.totals import MOST_MODELS, TotalsByModel


def test_a_value_on_a_bound_belongs_to_it() -> None:
    totals = LatencyTotals((0.13, 0.1, 0.13))
    totals.add(0.13, 2)
    totals.add(0.1300001)
    totals.add(0.05)
    assert totals.bounds == (0.1, 0.13)
    assert totals.cumulative() == (1, 3, 4)
    assert totals.count == 4
    assert round(totals.sum_seconds, 4) == 0.44


def test_the_bins_are_those_of_the_windows() -> None:
    totals = LatencyTotals((0.1,))
    values = [1e-9, 0.0301, 0.0301, 0.13, 7.0, 1e9]
    for value in values:
        totals.add(value)
    counted = Histogram.of(values)
    assert totals.bins == dict(zip(counted.indices.tolist(), counted.counts.tolist(), strict=True))


def test_a_bucket_remembers_the_newest_client_that_told_its_trace() -> None:
    totals = LatencyTotals((0.1, 0.2))
    totals.add(0.15, trace_id="a", at=1.0)
    totals.add(0.16, trace_id="b", at=2.0)
    totals.add(0.17)
    assert [example and (example.trace_id, example.seconds, example.at) for example in totals.examples] == [
        None,
        ("b", 0.16, 2.0),
        None,
    ]


def test_clients_cannot_make_more_models_than_there_is_room_for() -> None:
    totals = TotalsByModel((0.1,), expected="ours")
    for number in range(1000):
        totals.of(f"made-up-{number}").add(0.05)
    assert len(totals.models) == MOST_MODELS + 1
    assert totals.models["ours"].count == 0
    assert totals.models[OTHER].count == 1000 - (MOST_MODELS - 1)


def test_a_nameless_model_is_among_the_others() -> None:
    totals = TotalsByModel((0.1,))
    totals.of("").add(0.05)
    assert list(totals.models) == [OTHER]


def test_a_model_that_became_known_after_the_opening_names_the_tokens_too() -> None:
    relay = Relay()
    relay.frame([opened("x", relay.now)])
    relay.now += 0.25
    again = Opened(at=relay.now - 0.25, path="/v1/chat/completions", model="tiny", stream=True)
    relay.frame([ExchangeNews(id="x", opened=again, first_token_at=relay.now, first_tokens=1, last_token_at=relay.now)])
    relay.now += 0.05
    relay.frame([token("x", relay.now, 0.05)])
    windows = absorbed([seen(START - 1), *relay.facts])
    for name in ("time_to_first_token_seconds", "inter_token_latency_seconds"):
        assert list(windows.totals_for_export(name).models) == ["tiny"]
