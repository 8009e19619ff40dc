"""News gathers until somebody takes it, within bounds."""

from __future__ import annotations

import pytest

from watchtower.exchanges import exchange as exchange_module
from watchtower.exchanges.exchange import Exchange, ExchangeTable
from watchtower.vocabulary.facts import Ending


def tick(exchange: Exchange, ns: int, tokens: int = 1) -> None:
    exchange.fresh = tokens
    exchange.tokens_read(ns)


def test_nothing_is_told_twice() -> None:
    table = ExchangeTable("0.1")
    exchange = table.begin(1, "/v1/completions", tag="batch")
    tick(exchange, 10, 2)
    tick(exchange, 15)
    first = table.drain()[0]
    tick(exchange, 25)
    second = table.drain()[0]

    assert first.opened is not None
    assert (first.opened.tag, first.first_tokens, first.gaps_ns) == ("batch", 2, [5])
    assert (second.opened, second.first_token_at, second.first_tokens, second.gaps_ns) == (None, None, 0, [10])
    assert table.drain() == []


def test_what_was_learned_late_is_told_again() -> None:
    table = ExchangeTable("0.1")
    exchange = table.begin(1, "/v1/completions")
    table.drain()
    exchange.describe(model="m")
    opened = table.drain()[0].opened
    exchange.describe(model="m")

    assert opened is not None
    assert opened.model == "m"
    assert table.drain() == []


def test_a_new_reader_is_told_of_everything_open_but_no_token_twice() -> None:
    table = ExchangeTable("0.1")
    ended, going = table.begin(1, "/v1/completions"), table.begin(2, "/v1/completions")
    tick(going, 10, 3)
    ended.close(Ending.COMPLETE, 11)
    table.drain()
    table.restate()
    news = table.drain()

    assert [item.id for item in news] == [going.id]
    assert news[0].opened is not None
    assert news[0].first_token_at == pytest.approx(10e-9)
    assert news[0].last_token_at == pytest.approx(10e-9)
    assert news[0].first_tokens == 0


def test_the_first_ending_counts() -> None:
    table = ExchangeTable("0.1")
    exchange = table.begin(1, "/v1/completions")
    exchange.close(Ending.TRUNCATED, 5)
    exchange.close(Ending.COMPLETE, 6)
    closed = table.drain()[0].closed

    assert closed is not None
    assert closed.ending is Ending.TRUNCATED


def test_gaps_that_nobody_takes_are_dropped_and_counted_but_openings_and_endings_stay() -> None:
    table = ExchangeTable("0.1")
    exchange = table.begin(1, "/v1/completions")
    for ns in range(10, 130, 10):
        tick(exchange, ns)
    table.shed(most_gaps=11)
    assert table.dropped == 0
    table.shed(most_gaps=10)
    exchange.close(Ending.COMPLETE, 200)
    news = table.drain()[0]

    assert table.dropped == 11
    assert (news.gaps_ns, news.first_tokens) == ([], 1)
    assert news.opened is not None
    assert news.closed is not None


def test_endings_that_nobody_takes_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "MAX_CLOSED_KEPT", 3)
    table = ExchangeTable("0.1")
    for _ in range(5):
        table.begin(1, "/v1/completions").close(Ending.COMPLETE, 2)
    table.begin(1, "/v1/completions")
    table.shed(most_gaps=100)

    assert table.dropped == 2
    assert [news.id for news in table.drain()] == ["0.1-3", "0.1-4", "0.1-5", "0.1-6"]


def test_a_quiet_exchange_is_told_of_once_it_has_ended() -> None:
    """A transcription of a minute is no hang: nobody shall wait for its first token."""
    table = ExchangeTable("0.1")
    exchange = table.begin(1_000, "/v1/embeddings", quiet=True)
    exchange.describe(model="m")
    table.restate()
    assert (table.drain(), list(table.open.values())) == ([], [exchange])
    exchange.status = 200
    exchange.close(Ending.COMPLETE, 61_000)
    (news,) = table.drain()

    assert news.opened is not None and news.closed is not None
    assert (news.opened.model, news.closed.ending, news.closed.status) == ("m", Ending.COMPLETE, 200)
    assert news.closed.at - news.opened.at == pytest.approx(60e-6)


def test_it_speaks_from_its_first_token_on() -> None:
    table = ExchangeTable("0.1")
    exchange = table.begin(1, "/v1/audio/transcriptions", quiet=True)
    tick(exchange, 10)
    (news,) = table.drain()

    assert news.opened is not None and news.closed is None
    assert news.first_tokens == 1
