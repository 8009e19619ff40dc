"""The cause of a change is told from log-probabilities, and the engine's own noise is none."""

from __future__ import annotations

import numpy as np
import pytest

from watchtower.scoring.measures.logprobs import Cause, Shift, cause, pool, shift

CHANCE = np.random.default_rng(7)
TOKENS = (-CHANCE.exponential(1.5, 64)).tolist()


def noisy(by: float, tokens: list[float] = TOKENS) -> list[float]:
    return [min(0.0, value + by * float(CHANCE.standard_normal())) for value in tokens]


def measured(by: float, noise: float) -> Shift:
    found = shift(noisy(by), [noisy(noise) for _ in range(3)])
    assert found is not None
    return found


@pytest.mark.parametrize("noise", [1e-6, 1e-4, 0.02])
def test_repetition_is_no_change(noise: float) -> None:
    assert not measured(noise, noise).moved


@pytest.mark.parametrize("noise", [1e-6, 1e-3])
def test_rounding_moves_all_tokens_a_little_and_other_weights_a_lot(noise: float) -> None:
    assert cause(fresh=measured(0.02, noise)) is Cause.NUMERICS
    assert cause(fresh=measured(0.5, noise)) is Cause.WEIGHTS
    assert cause(fresh=measured(0.5, noise), cached=measured(0.5, noise), chat=measured(0.5, noise)) is Cause.WEIGHTS


def test_only_cached_or_only_chat_requests_name_the_cache_or_the_template() -> None:
    still, moved = measured(1e-6, 1e-6), measured(0.5, 1e-6)
    assert cause(fresh=still, cached=moved, chat=still) is Cause.KV_CACHE
    assert cause(fresh=still, cached=still, chat=moved) is Cause.TEMPLATE
    assert cause(fresh=still, cached=still, chat=still) is None


def test_without_a_fresh_reading_nothing_is_blamed() -> None:
    assert cause(fresh=None, cached=measured(0.5, 1e-6)) is None


def test_what_cannot_be_compared_has_no_shift() -> None:
    assert shift(TOKENS, []) is None
    assert shift(TOKENS[:-1], [TOKENS]) is None
    assert shift([None] * 60 + TOKENS[60:], [TOKENS]) is None


def test_a_token_without_a_logprob_is_left_out_and_infinity_is_bounded() -> None:
    found = shift([None, float("-inf"), *TOKENS[2:]], [[None, -1.0, *TOKENS[2:]]])
    assert found is not None
    assert found.tokens == 63
    assert found.nats == pytest.approx(49 / 63)


def test_a_round_weighs_tokens_not_answers() -> None:
    pooled = pool([Shift(0.0, 0.0, 0.0, 90), Shift(1.0, 0.0, 1.0, 10)])
    assert pooled is not None
    assert pooled.nats == pytest.approx(0.1)
    assert pooled.tokens == 100
    assert pool([]) is None
