"""Totals that grow give tokens; each answer of an exchange grows by itself."""

from __future__ import annotations

import pytest

from tests.exchanges.reading import begun
from watchtower.exchanges import running_totals
from watchtower.exchanges.running_totals import RunningTotals

MILLISECOND = 1_000_000


def test_what_a_total_grew_by_is_what_came() -> None:
    totals, exchange = RunningTotals(begun()), begun()
    totals = RunningTotals(exchange)
    for total in (1, 1, 4, 3, 6):
        totals.found(0, total, finished=total == 6)

    assert (exchange.fresh, exchange.completion_tokens, totals.all_finished) == (6, 6, True)


def test_an_exchange_has_ended_when_each_of_its_answers_has() -> None:
    exchange = begun()
    totals = RunningTotals(exchange)
    totals.found(1, 2, finished=True)
    seen = []
    for total, finished in ((1, False), (3, True)):
        totals.found(0, total, finished=finished)
        seen.append(totals.all_finished)

    assert seen == [False, True]
    assert exchange.completion_tokens == 5


def test_gaps_are_those_between_two_tokens_of_one_answer() -> None:
    exchange = begun()
    totals = RunningTotals(exchange)
    for read in range(8):  # two answers take turns, a token each 10 ms: 20 ms for either
        totals.found(read % 2, read // 2 + 1, finished=False)
        exchange.tokens_read((read + 1) * 10 * MILLISECOND)
    news = exchange.take_news()

    assert {gap // tokens for gap, tokens in zip(news.gaps_ns, news.tokens, strict=True)} == {20 * MILLISECOND}
    assert news.first_tokens + sum(news.tokens) + news.more_tokens == 8


def test_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_totals, "MOST_ANSWERS", 2)
    exchange = begun()
    totals = RunningTotals(exchange)
    for answer in range(5):
        totals.found(answer, 1, finished=False)

    assert exchange.fresh == 2
