"""Where the engine does not count tokens: a bound may prove that all is well, and nothing else is proven by it.

The cases are those that people reported of real engines; the relay tells them as it hears them.
"""

from __future__ import annotations

import pytest

from tests.windows.traffic import START, Relay, absorbed, seen
from watchtower.rules.rule_files import load_rules, shipped_rules
from watchtower.vocabulary.facts import AnyFact, Closed, Ending, EngineScrape, ExchangeNews, Opened, ReferenceAnswered
from watchtower.vocabulary.readings import Explanation, Reading, Truth, Verdict
from watchtower.vocabulary.reasons import ReasonKind
from watchtower.windows import Windows

P95, MEAN = "inter_token_latency_seconds.p95", "inter_token_latency_seconds.mean"
RATE = "token_progress.rate"
PATH = "/v1/chat/completions"


def streams(
    relay: Relay,
    rounds: int,
    *,
    gap: float,
    pieces: int = 20,
    total: int = -1,
    estimated: bool = True,
    tokens: int = 1,
    path: str = PATH,
    at_once: int = 5,
) -> None:
    """``rounds`` times ``at_once`` streams side by side, each of ``pieces`` reads after the first one."""
    for turn in range(rounds):
        names = [f"{relay.sequence}.{turn}.{n}" for n in range(at_once)]
        at = relay.now
        relay.frame(ExchangeNews(id=name, opened=Opened(at, path, "m", True)) for name in names)
        relay.now += 0.1
        relay.frame(
            ExchangeNews(
                id=name, first_token_at=relay.now, first_tokens=tokens, last_token_at=relay.now, estimated=estimated
            )
            for name in names
        )
        for _ in range(pieces):
            relay.now += gap
            relay.frame(
                ExchangeNews(
                    id=name, last_token_at=relay.now, gaps_ns=[round(gap * 1e9)], tokens=[tokens], estimated=estimated
                )
                for name in names
            )
        deltas = tokens * (pieces + 1) if estimated else 0
        ended = Closed(relay.now, Ending.COMPLETE, 200, total, deltas=deltas)
        relay.frame(ExchangeNews(id=name, estimated=estimated, closed=ended) for name in names)


def verdict(windows: Windows, now: float) -> Verdict:
    """Of the shipped rule on token latencies."""
    rules = load_rules([shipped_rules() / "triad.yaml"])
    unasked = Explanation(Truth.FALSE, None, "")
    _, verdicts = rules.evaluate(lambda signal, over: windows.read(signal, over, now), lambda name: unasked, {}, now)
    return next(said.verdict for said in verdicts if said.rule == "slow_tokens")


def read(relay: Relay, name: str = P95, over: float = 60) -> Reading:
    return absorbed(relay.facts).read(name, over, relay.now)


def test_ten_tokens_a_piece_are_read_as_ten_once_the_totals_of_twenty_answers_said_so() -> None:
    """A chunk of ten tokens every 150 ms is 15 ms a token (vllm --stream-interval 10)."""
    relay = Relay()
    streams(relay, 6, gap=0.15, total=210)
    streams(relay, 21, gap=0.15, total=210)
    windows = absorbed(relay.facts)
    reading = windows.read(P95, 60, relay.now)
    assert reading.value == pytest.approx(0.015, rel=0.006)
    assert reading.estimated == 1.0
    assert reading.remark == "100 % of the tokens are estimated"
    assert verdict(windows, relay.now) is Verdict.OK
    assert windows.read(MEAN, 60, relay.now).value == pytest.approx(0.015, rel=0.001)
    assert windows.read(RATE, 60, relay.now).value == pytest.approx(5 * 210 / 3.1, rel=0.02)


def test_without_a_total_the_same_is_a_bound_that_says_what_would_help() -> None:
    relay = Relay()
    streams(relay, 27, gap=0.15)
    windows = absorbed(relay.facts)
    reading = windows.read(P95, 60, relay.now)
    assert reading.value is None
    assert reading.high == pytest.approx(0.15, rel=0.006)
    assert reading.reason is not None and reading.reason.kind is ReasonKind.TOO_FEW
    assert reading.because == "the engine gives no counts: `stream_options.include_usage` would help"
    assert reading.detail == "at most 149 ms"
    assert verdict(windows, relay.now) is Verdict.UNKNOWN, "150 ms a piece may be anything a token"


def test_a_bound_within_the_limit_proves_at_once_that_all_is_well() -> None:
    """20 pieces at 50 ms, and a usage of 0 on each of them: no count, and none is needed."""
    relay = Relay()
    streams(relay, 60, gap=0.05, total=0)
    windows = absorbed(relay.facts)
    assert windows.read(P95, 60, relay.now).value is None
    assert verdict(windows, relay.now) is Verdict.OK


def test_what_is_slow_by_the_ratio_too_is_slow() -> None:
    relay = Relay()
    streams(relay, 5, gap=0.4, pieces=12, total=26)
    streams(relay, 13, gap=0.4, pieces=12, total=26)
    windows = absorbed(relay.facts)
    assert windows.read(P95, 60, relay.now).value == pytest.approx(0.2, rel=0.006)
    assert verdict(windows, relay.now) is Verdict.BREACH


def test_totals_that_differ_widen_the_band_downwards_and_no_breach_hides_in_them() -> None:
    """Two to six tokens a piece: the time per token is known only so well, and the band says how well."""
    relay = Relay()
    for turn in range(26):
        streams(relay, 1, gap=0.15, total=21 * (2 if turn % 2 else 6), pieces=20)
    reading = read(relay)
    assert reading.value is not None and reading.low is not None and reading.high is not None
    assert reading.low < 0.0375 < reading.value, "0.15 s are four tokens on average, and surely fewer than that"
    assert reading.low < 0.9 * reading.value


def test_the_engines_own_counter_tells_the_ratio_where_no_answer_has_a_total() -> None:
    relay = Relay()
    facts: list[AnyFact] = []
    for turn in range(30):
        facts.append(EngineScrape(at=relay.now, ok=True, generation_tokens=5.0 * 210 * turn))
        relay.facts.clear()
        streams(relay, 1, gap=0.15)
        facts += relay.facts
    reading = absorbed([*Relay().facts, *facts]).read(P95, 60, relay.now)
    assert reading.value == pytest.approx(0.015, rel=0.006)


def test_a_counter_that_counts_our_own_canaries_tells_nothing_of_users() -> None:
    relay = Relay()
    facts: list[AnyFact] = []
    for turn in range(30):
        facts.append(EngineScrape(at=relay.now, ok=True, generation_tokens=5.0 * 210 * turn))
        relay.facts.clear()
        streams(relay, 1, gap=0.15)
        facts += [*relay.facts, ReferenceAnswered(at=relay.now, round=1, reference="r")]
    assert absorbed([*Relay().facts, *facts]).read(P95, 60, relay.now).value is None


def test_exact_counts_need_no_ratio_and_are_not_estimated() -> None:
    relay = Relay()
    streams(relay, 27, gap=0.15, tokens=10, estimated=False)
    reading = read(relay)
    assert reading.value == pytest.approx(0.015, rel=0.006)
    assert (reading.estimated, reading.remark) == (0.0, "")


def test_another_engine_is_learned_anew() -> None:
    relay = Relay()
    streams(relay, 20, gap=0.15, total=210)
    facts: list[AnyFact] = [seen(START), *relay.facts, seen(relay.now, "200")]
    relay.facts.clear()
    streams(relay, 31, gap=0.15)
    reading = absorbed([*facts, *relay.facts]).read(P95, 60, relay.now)
    assert reading.value is None
    assert reading.high == pytest.approx(0.15, rel=0.006)


def test_a_few_bounds_among_many_counts_hide_nothing_and_are_said() -> None:
    relay = Relay()
    streams(relay, 55, gap=0.05, tokens=1, estimated=False)
    streams(relay, 1, gap=0.5, pieces=2, path="/generate")
    reading = read(relay)
    assert reading.value == pytest.approx(0.05, rel=0.006)
    assert 0 < reading.estimated < 0.05


def test_the_histogram_has_every_token_and_takes_the_ratio_as_soon_as_it_is_known() -> None:
    relay = Relay()
    relay.silence(1)
    streams(relay, 4, gap=0.15, total=210)
    streams(relay, 1, gap=0.15, total=210)
    totals = absorbed(relay.facts).totals_for_export("inter_token_latency_seconds").of("m")
    assert totals.count == 4 * 5 * 20 + 5 * 200
    assert totals.cumulative()[totals.bounds.index(0.02)] == 5 * 200
