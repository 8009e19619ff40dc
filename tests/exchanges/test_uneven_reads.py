"""Several choices, tool calls held back, and clients that do not read: what a read then says of the engine's pace."""

from __future__ import annotations

import pytest

from watchtower.exchanges.exchange import Exchange, ExchangeTable
from watchtower.exchanges.uneven_reads import MOST_CHOICES, ReadPace, UnevenReads
from watchtower.vocabulary.facts import Closed, Ending, ExchangeNews

MS = 1_000_000


def several(*choices: int) -> UnevenReads:
    uneven = UnevenReads()
    uneven.split(None, 0)
    assert all(uneven.seen(choice) for choice in choices)
    return uneven


def read(uneven: UnevenReads, at: int, last: int, **tokens: int) -> ReadPace:
    """Tokens by choice: ``c0=1``."""
    for choice, count in tokens.items():
        uneven.tokens_of(int(choice[1:]), count)
    return uneven.read(at, sum(tokens.values()), last)


def test_a_read_says_how_long_the_slowest_choice_in_it_waited_for_one_token() -> None:
    uneven = several(0, 1, 2)
    read(uneven, 100, 0, c0=1, c1=1, c2=1)
    read(uneven, 120, 100, c0=1)

    # choice 0 waited 10 for one token, choice 1 30 for two, choice 2 30 for one
    assert read(uneven, 130, 120, c0=1, c1=2, c2=1) == ReadPace(30, 1, 3)
    assert read(uneven, 150, 130, c0=1, c1=4) == ReadPace(20, 1, 4)


def test_the_first_token_of_a_choice_has_no_gap() -> None:
    uneven = several(0, 1)
    read(uneven, 100, 0, c0=1)

    assert read(uneven, 120, 100, c1=1) == ReadPace(0, 0, 1)
    assert read(uneven, 140, 120, c1=1) == ReadPace(20, 1, 0)


def test_choice_0_keeps_the_instants_it_had_before_others_came() -> None:
    uneven = UnevenReads()
    uneven.split(100, 2)  # two of its tokens are in the read that brings the first of choice 1
    uneven.seen(1)

    uneven.tokens_of(1, 1)
    assert uneven.read(150, 3, 100) == ReadPace(50, 2, 1)


def test_a_choice_that_stands_still_is_known_until_it_has_finished() -> None:
    uneven = several(0, 1)
    read(uneven, 100, 0, c0=1, c1=1)
    read(uneven, 200, 100, c1=1)
    assert uneven.slowest_ns() == 100

    uneven.finished(0)

    assert uneven.slowest_ns() == 200
    uneven.finished(1)
    assert uneven.slowest_ns() == 0


def test_the_last_token_of_a_choice_still_has_its_gap() -> None:
    uneven = several(0, 1)
    read(uneven, 100, 0, c0=1, c1=1)
    uneven.finished(0)

    assert read(uneven, 130, 100, c0=1) == ReadPace(30, 1, 0)


def test_choices_beyond_the_table_are_counted_and_that_is_all() -> None:
    uneven = several(*range(MOST_CHOICES))

    assert not uneven.seen(MOST_CHOICES)
    uneven.tokens_of(MOST_CHOICES, 1)
    assert uneven.read(50, 1, 20) == ReadPace(0, 0, 1)


@pytest.mark.parametrize(
    ("pauses", "gap"),
    [([], 30), ([100], 0), ([129], 0), ([130], 30), ([131], 30)],
)
def test_a_gap_in_which_the_client_did_not_read_is_the_clients(pauses: list[int], gap: int) -> None:
    uneven = UnevenReads()
    for pause in pauses:
        uneven.paused(pause)

    pace = uneven.read(130, 2, 100)

    assert (pace.gap_ns, pace.tokens + pace.besides, uneven.take_unread()) == (gap, 2, 30 - gap)
    assert uneven.take_unread() == 0, "told once"


def test_each_pause_costs_one_gap_however_late_the_reads_are_looked_at() -> None:
    uneven = UnevenReads()
    for pause in (101, 121):
        uneven.paused(pause)

    assert [uneven.read(at, 1, at - 10).tokens for at in (100, 110, 120, 130, 140)] == [1, 0, 1, 0, 1]


def begun() -> Exchange:
    return ExchangeTable("0.1").begin(1, "/v1/chat/completions")


def ended(exchange: Exchange, at: int, total: int = -1) -> tuple[ExchangeNews, Closed]:
    exchange.completion_tokens = total
    exchange.close(Ending.COMPLETE, at)
    news = exchange.take_news()
    assert news.closed is not None
    return news, news.closed


def steady(exchange: Exchange, tokens: int, gap: int) -> int:
    """That many estimated tokens; the instant of the last."""
    exchange.estimated = True
    for number in range(1, tokens + 1):
        exchange.fresh += 1
        exchange.tokens_read(number * gap)
    return tokens * gap


def held_back(exchange: Exchange, at: int) -> None:
    exchange.uneven.unsized()
    exchange.fresh += 1
    exchange.tokens_read(at)


def test_a_tool_call_after_silence_took_it_for_all_of_its_tokens() -> None:
    exchange = begun()
    last = steady(exchange, 10, 20 * MS)
    held_back(exchange, last + 3_000 * MS)

    news, closed = ended(exchange, last + 3_001 * MS, total=160)

    assert (news.gaps_ns[-1], news.tokens[-1]) == (3_000 * MS, 150)
    assert news.first_tokens + sum(news.tokens) + news.more_tokens == 160
    assert closed.deltas == 0, "nobody learns from this how many tokens a piece holds"


def test_without_a_total_the_silence_before_a_tool_call_says_nothing() -> None:
    exchange = begun()
    held_back(exchange, steady(exchange, 10, 20 * MS) + 3_000 * MS)

    news, _ = ended(exchange, 9_000 * MS)

    assert max(news.gaps_ns) == 20 * MS
    assert news.first_tokens + sum(news.tokens) == 10


def test_two_tool_calls_share_the_tokens_by_their_silences() -> None:
    exchange = begun()
    last = steady(exchange, 10, 20 * MS)
    held_back(exchange, last + 1_000 * MS)
    held_back(exchange, last + 4_000 * MS)

    news, _ = ended(exchange, last + 4_000 * MS, total=210)

    assert list(zip(news.gaps_ns, news.tokens, strict=True))[-2:] == [(1_000 * MS, 50), (3_000 * MS, 150)]


def test_a_long_piece_holds_the_tokens_that_nobody_else_had_with_or_without_silence() -> None:
    exchange = begun()
    last = steady(exchange, 10, 20 * MS)
    held_back(exchange, last + 60 * MS)

    news, closed = ended(exchange, last + 60 * MS, total=13)

    assert (news.gaps_ns[-1], news.tokens[-1], closed.deltas) == (60 * MS, 3, 0)


def test_an_answer_that_begins_with_a_tool_call_has_an_instant_and_no_count_until_its_total() -> None:
    exchange = begun()
    held_back(exchange, 500 * MS)
    news, _ = ended(exchange, 500 * MS, total=40)

    assert (news.first_token_at, news.first_tokens, news.more_tokens, news.gaps_ns) == (0.5, 0, 40, [])


def test_an_exchange_without_any_of_this_has_no_such_object() -> None:
    exchange = begun()
    steady(exchange, 3, MS)

    assert exchange._uneven is None
    assert ended(exchange, 4 * MS, total=6)[1].deltas == 3
