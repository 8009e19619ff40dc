"""What the product shows, read as figures: readings, histograms, and the facts that it recorded."""

from __future__ import annotations

from typing import Any

import pytest

from watchtower.lab.benchmarks.crosscheck.exposed import Scrape
from watchtower.lab.benchmarks.crosscheck.measured import Definition, Figures
from watchtower.lab.benchmarks.crosscheck.own_figures import histogram_figures, readings_figures, recorded_figures
from watchtower.vocabulary.facts import Closed, Ending, ExchangeNews, Opened, RelayFrame

MILLISECOND = 1_000_000


def frame(*news: ExchangeNews, at: float = 9.0) -> RelayFrame:
    return RelayFrame(at=at, worker=0, pid=1, sequence=1, open_exchanges=0, news=list(news))


def begun(id: str, *, at: float = 1.0, estimated: bool = False) -> ExchangeNews:
    """First token 100 ms after the request, one more after 20 ms."""
    return ExchangeNews(
        id=id,
        opened=Opened(at=at, path="/v1/chat/completions"),
        first_token_at=at + 0.1,
        first_tokens=1,
        last_token_at=at + 0.12,
        gaps_ns=[20 * MILLISECOND],
        tokens=[1],
        estimated=estimated,
    )


def ended(id: str, *, at: float = 1.0) -> ExchangeNews:
    """A read of two tokens 40 ms later, and the end."""
    return ExchangeNews(
        id=id,
        last_token_at=at + 0.16,
        gaps_ns=[40 * MILLISECOND],
        tokens=[2],
        closed=Closed(at=at + 0.17, ending=Ending.COMPLETE, completion_tokens=4),
    )


def test_facts_give_every_latency_and_exact_counts() -> None:
    figures = recorded_figures([frame(begun("a"), begun("b", at=2.0)), frame(ended("a"), ended("b", at=2.0))])
    assert (figures.requests, figures.output_tokens, figures.gaps) == (2, 8, 6)
    gaps = figures.distributions[Definition.MEAN_GAP]
    assert gaps.count == 2
    assert gaps.statistics == pytest.approx({"mean": 0.02, "p50": 0.02, "p95": 0.02})
    assert figures.distributions[Definition.FIRST_TOKEN].statistics["p95"] == pytest.approx(0.1)
    assert figures.distributions[Definition.GAP].count == 6
    assert figures.notes == ["endings: 2 complete"]


def test_a_first_token_is_waited_for_from_the_requests_last_byte() -> None:
    uploaded = ExchangeNews(
        id="a", opened=Opened(at=1.0, path="/v1/completions", whole_at=1.06), first_token_at=1.1, first_tokens=1
    )
    figures = recorded_figures([frame(uploaded)])
    assert figures.distributions[Definition.FIRST_TOKEN].statistics["mean"] == pytest.approx(0.04)


def test_a_read_of_several_tokens_is_as_many_gaps() -> None:
    figures = recorded_figures([frame(begun("a")), frame(ended("a"))])
    assert figures.distributions[Definition.GAP].statistics["mean"] == pytest.approx(0.02)
    assert figures.distributions[Definition.GAP].count == 3


def test_an_exchange_that_was_opened_before_is_somebody_elses() -> None:
    assert recorded_figures([frame(ended("old"))]).requests == 0


def test_estimated_counts_and_open_exchanges_are_told() -> None:
    figures = recorded_figures([frame(begun("a", estimated=True))])
    assert figures.notes == ["endings: 1 open", "1 of 1 exchanges have estimated counts: 2 pieces of text in all"]


def reading(name: str, value: float | None, samples: int = 10, because: str = "") -> dict[str, Any]:
    return {"name": name, "value": value, "samples": samples, "because": because}


def readings(**changed: float | None) -> list[dict[str, Any]]:
    values: dict[str, float | None] = {"mean": 0.2, "p50": 0.1, "p95": 0.4, **changed}
    families = ("inter_token_latency_seconds", "time_to_first_token_seconds")
    return [
        reading(f"{family}.{name}", value, because="" if value else "the relay was late")
        for family in families
        for name, value in values.items()
    ]


def test_readings_are_taken_as_they_are_shown() -> None:
    counted = Figures(requests=10, output_tokens=70, distributions={})
    figures = readings_figures(readings(), counted)
    assert figures.distributions[Definition.GAP].statistics == {"mean": 0.2, "p50": 0.1, "p95": 0.4}
    assert figures.output_tokens == 70
    assert figures.notes == []


def test_what_a_reading_leaves_out_and_why_it_is_unknown_is_told() -> None:
    counted = Figures(requests=12, output_tokens=70, distributions={})
    figures = readings_figures(readings(p95=None), counted)
    assert "p95" not in figures.distributions[Definition.FIRST_TOKEN].statistics
    assert figures.notes == [
        "time_to_first_token_seconds: p95 unknown: the relay was late",
        "time_to_first_token_seconds: the readings stand on 10 of 12 requests",
        "inter_token_latency_seconds: p95 unknown: the relay was late",
        "inter_token_latency_seconds: the readings stand on 10 of 12 requests",
    ]


def test_histograms_count_first_tokens_and_gaps() -> None:
    text = """
# TYPE watchtower_time_to_first_token_seconds histogram
watchtower_time_to_first_token_seconds_bucket{le="+Inf"} 2
watchtower_time_to_first_token_seconds_sum 0.2
# TYPE watchtower_inter_token_latency_seconds histogram
watchtower_inter_token_latency_seconds_bucket{le="+Inf"} 6
watchtower_inter_token_latency_seconds_sum 0.12
"""
    figures = histogram_figures(Scrape(""), Scrape(text))
    assert (figures.requests, figures.output_tokens) == (2, 8)
    assert figures.distributions[Definition.GAP].statistics == pytest.approx({"mean": 0.02})


def test_an_engines_own_total_counts_and_not_its_pieces_of_text() -> None:
    merged = ExchangeNews(id="a", closed=Closed(at=1.2, ending=Ending.COMPLETE, completion_tokens=5))
    figures = recorded_figures([frame(begun("a", estimated=True), merged)])
    assert (figures.output_tokens, figures.gaps) == (5, 1)
