"""More exchanges open than ever: saturated engines deliver as many tokens as ever, sick ones do not."""

from __future__ import annotations

import pytest

from watchtower.detectors import LoadSettings
from watchtower.detectors.load_baseline import Block, LoadBaseline
from watchtower.detectors.throughput import throughput_explains
from watchtower.vocabulary.readings import Truth

KNOBS = LoadSettings(minimum_blocks=10)


def baseline(*blocks: Block, times: int = 10) -> LoadBaseline:
    learned = LoadBaseline(key="model")
    for block in blocks:
        for _ in range(times):
            learned.add(block, 0.0, 360)
    return learned


def block(load: float, tokens: float | None, arrivals: float | None = 5, prompts: float | None = 2_000) -> Block:
    return Block(load, 0.1, tokens, arrivals, prompts)


def judged(now: Block, learned: LoadBaseline) -> Truth:
    return throughput_explains(now, learned, KNOBS)[0]


ONE_LOAD = baseline(block(12, 380))
FLAT = baseline(block(6, 190), block(12, 380))
"""The wait for a token did not grow with load: far from full."""
FULL = baseline(block(6, 360), block(12, 380))
"""Twice the load gave hardly more tokens."""


def test_fewer_tokens_with_more_open_than_ever_is_not_load() -> None:
    truth, _, sentence = throughput_explains(block(42, 110), ONE_LOAD, KNOBS)
    assert truth is Truth.FALSE
    assert sentence == (
        "42 open exchanges, more than ever while healthy (12), but only 110 tokens/s where 380 were delivered at 12 "
        "(10 blocks): not load"
    )


@pytest.mark.parametrize(("tokens", "truth"), [(284, Truth.FALSE), (286, Truth.UNKNOWN), (380, Truth.TRUE)])
def test_fewer_means_by_more_than_the_margin(tokens: float, truth: Truth) -> None:
    assert judged(block(42, tokens), ONE_LOAD) is truth


def test_as_many_tokens_as_ever_is_saturation() -> None:
    truth, _, sentence = throughput_explains(block(42, 400), ONE_LOAD, KNOBS)
    assert truth is Truth.TRUE
    assert sentence.startswith("saturated: 42 open exchanges") and "400 tokens/s" in sentence


def test_the_same_rate_with_far_more_open_is_sickness_in_an_engine_that_was_far_from_full() -> None:
    assert judged(block(36, 380), FLAT) is Truth.FALSE
    assert judged(block(36, 370), FULL) is Truth.UNKNOWN
    assert judged(block(36, 370), ONE_LOAD) is Truth.UNKNOWN


def test_a_little_more_open_is_not_far_more() -> None:
    assert judged(block(15.5, 380), FLAT) is not Truth.FALSE


def test_the_curve_is_not_followed_far_beyond_what_was_seen() -> None:
    half_full = baseline(block(6, 260), block(12, 380))
    assert judged(block(24, 365), half_full) is Truth.FALSE
    assert judged(block(120, 375), half_full) is Truth.UNKNOWN


def test_more_work_done_than_ever_is_load_in_any_engine() -> None:
    assert judged(block(36, 430), FLAT) is Truth.TRUE


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (block(42, 110, arrivals=6), "6 requests/s arrive, more than ever while healthy (5)"),
        (block(42, 110, prompts=30_000), "prompts of 30 kB/s arrive, more than ever while healthy (2 kB/s)"),
    ],
)
def test_more_asked_for_than_ever_is_never_called_sickness(now: Block, why: str) -> None:
    truth, _, sentence = throughput_explains(now, ONE_LOAD, KNOBS)
    assert truth is Truth.UNKNOWN
    assert sentence.endswith(why)


def test_blocks_of_other_prompts_say_nothing_about_these() -> None:
    mixed = baseline(block(12, 380), block(4, 40, prompts=30_000))
    assert judged(block(42, 110, prompts=30_000), mixed) is Truth.UNKNOWN
    assert judged(block(42, 25, prompts=30_000), mixed) is Truth.FALSE


def test_closed_loop_clients_ask_for_less_and_are_judged_all_the_same() -> None:
    assert judged(block(42, 110, arrivals=1, prompts=400), ONE_LOAD) is Truth.FALSE


@pytest.mark.parametrize("now", [block(42, None), block(42, 110, arrivals=None), block(42, 110, prompts=None)])
def test_a_rate_that_is_not_known_decides_nothing(now: Block) -> None:
    assert judged(now, ONE_LOAD) is Truth.UNKNOWN


def test_blocks_without_rates_count_for_nothing() -> None:
    assert judged(block(42, 110), baseline(block(12, 380, arrivals=None), block(12, None))) is Truth.UNKNOWN
    assert judged(block(42, 0, arrivals=0, prompts=0), baseline(block(2, 0, arrivals=0, prompts=0))) is Truth.UNKNOWN


def test_one_block_too_few_decides_nothing() -> None:
    assert judged(block(42, 110), baseline(block(12, 380), times=9)) is Truth.UNKNOWN


def test_a_sickness_learned_slowly_leaves_the_best_blocks_below_in_force() -> None:
    learned = baseline(block(12, 380), block(20, 300), block(40, 200), block(60, 120))
    assert judged(block(90, 110), learned) is Truth.FALSE
