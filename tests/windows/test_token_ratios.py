"""How many tokens a piece of text holds: learned from totals or from the engine's counter, or not known."""

from __future__ import annotations

import random

from watchtower.windows.token_ratios import (
    FEWEST_ANSWERS,
    MOST_ANSWERS,
    MOST_KEYS,
    Seen,
    TokenRatio,
    TokenRatios,
)

CHAT = "/v1/chat/completions"


def learned(ratios: TokenRatios, *answers: tuple[int, int], path: str = CHAT, model: str = "m") -> TokenRatio | None:
    for pieces, tokens in answers:
        ratios.ended(path, model, pieces, tokens)
    return ratios.of(path, model)


def test_twenty_answers_with_totals_tell_it_and_nineteen_do_not() -> None:
    assert learned(TokenRatios(), *[(20, 200)] * (FEWEST_ANSWERS - 1)) is None
    assert learned(TokenRatios(), *[(20, 200)] * FEWEST_ANSWERS) == TokenRatio(10.0, 10.0)


def test_answers_that_differ_leave_a_band_around_the_truth() -> None:
    chance = random.Random(3)
    ratio = learned(TokenRatios(), *[(20, sum(chance.choice((2, 3, 4)) for _ in range(20))) for _ in range(40)])
    assert ratio is not None
    assert 2.7 < ratio.low < 3 < ratio.high < 3.3
    assert 0.8 < ratio.surety.certainty < 1
    assert ratio.surety.estimated


def test_a_piece_is_at_least_one_token_whatever_a_total_says() -> None:
    assert learned(TokenRatios(), *[(20, 10)] * 30) == TokenRatio(1.0, 1.0)
    assert learned(TokenRatios(), *[(20, 0)] * 30, *[(20, -1)] * 30, *[(0, 5)] * 30) is None


def test_an_end_that_is_counted_and_never_sent_makes_no_piece_longer() -> None:
    assert learned(TokenRatios(), *[(127, 128)] * 20) == TokenRatio(1.0, 128 / 127)
    assert learned(TokenRatios(), *[(10, 12)] * 20) == TokenRatio(1.2, 1.2)


def test_dialects_and_models_are_apart_and_a_prefix_of_the_path_is_nothing() -> None:
    ratios = TokenRatios()
    learned(ratios, *[(20, 200)] * 20)
    assert ratios.of("/proxy/7" + CHAT, "m") == TokenRatio(10.0, 10.0)
    assert ratios.of(CHAT, "another") is None
    assert ratios.of("/v1/completions", "m") is None


def test_what_changes_is_learned_anew_and_keys_are_bounded() -> None:
    ratios = TokenRatios()
    learned(ratios, *[(20, 200)] * MOST_ANSWERS)
    assert learned(ratios, *[(20, 20)] * MOST_ANSWERS) == TokenRatio(1.0, 1.0)
    for number in range(MOST_KEYS):
        ratios.ended(CHAT, f"other{number}", 1, 1)
    assert ratios.of(CHAT, "m") is None


def counted(*spans: tuple[float, int, int], unread: int = 0) -> TokenRatio | None:
    """A scrape every 10 s; in each span the engine generated so many tokens, of which pieces and exact ones were
    seen."""
    ratios, seen = TokenRatios(), Seen(1000.0, 0, 0, 0)
    ratios.scraped(0.0, seen)
    for number, (generated, pieces, exact) in enumerate(spans, start=1):
        seen = Seen(seen.generated + generated, seen.pieces + pieces, seen.exact + exact, unread * number)
        ratios.scraped(10.0 * number, seen)
    return ratios.of(CHAT, "m")


def test_the_engines_counter_of_the_last_minute_tells_it_where_no_answer_does() -> None:
    assert counted(*[(1000.0, 100, 0)] * 6) == TokenRatio(10.0, 10.0)
    assert counted(*[(1000.0, 100, 0)] * 2) is None, "too few spans"
    assert counted(*[(100.0, 10, 0)] * 4) is None, "too few pieces"
    assert counted(*[(1000.0, 100, 0)] * 8, *[(100.0, 100, 0)] * 6) == TokenRatio(1.0, 1.0), "older than a minute"


def test_tokens_that_are_counted_anyway_are_not_those_of_the_pieces() -> None:
    assert counted(*[(1500.0, 100, 500)] * 6) == TokenRatio(10.0, 10.0)


def test_a_counter_that_counts_what_nobody_reads_or_began_anew_says_nothing() -> None:
    assert counted(*[(1000.0, 100, 0)] * 6, unread=1) is None
    assert counted(*[(1000.0, 100, 0)] * 6, (-9000.0, 100, 0)) is None
