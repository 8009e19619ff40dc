"""What log-probabilities add to a comparison of texts: the verdict where they are clear, and the cause."""

from __future__ import annotations

import pytest

from tests.services.comparing.test_sameness import judged
from watchtower.scoring.measures.logprobs import Shift
from watchtower.services.comparing.likelihood import FEWEST_PROMPTS, likelihood, weighed
from watchtower.services.comparing.sameness import ComparisonReport, Sameness


def shifts(count: int, *nats: float, noise: float = 0.0) -> dict[str, Shift]:
    return {str(n): Shift(nats[n % len(nats)], noise, 1.0, 40) for n in range(count)}


def over(found: ComparisonReport, read: dict[str, Shift], other_tokens: int = 0, because: str = "") -> ComparisonReport:
    return weighed(found, read, other_tokens=other_tokens, because=because)


def test_equal_log_probabilities_settle_what_few_texts_cannot() -> None:
    few = judged(40)
    assert few.outcome is Sameness.TOO_LITTLE_DATA
    found = over(few, shifts(40, 0.0, 0.0005))
    assert (found.outcome, found.cause) == (Sameness.SAME, "")


@pytest.mark.parametrize(("nats", "cause"), [(0.002, "numerics"), (0.3, "weights")])
def test_a_difference_beyond_the_noise_is_one_and_has_a_cause(nats: float, cause: str) -> None:
    found = over(judged(40), shifts(40, nats, 1.2 * nats))
    assert (found.outcome, found.cause) == (Sameness.DIFFERENT, cause)
    assert found.likelihood is not None and found.likelihood.low > 1
    assert found.per_prompt[0].nats == pytest.approx(1.2 * nats), "what moved most first"


def test_what_the_baseline_does_on_its_own_is_no_difference() -> None:
    assert over(judged(40), shifts(40, 0.03, noise=0.02)).outcome is Sameness.SAME


def test_texts_that_differ_stay_different_whatever_the_weights() -> None:
    longer = judged(400, words=90)
    assert longer.outcome is Sameness.DIFFERENT
    assert over(longer, shifts(400, 0.0)).outcome is Sameness.DIFFERENT


def test_an_unclear_shift_leaves_the_verdict_to_the_texts() -> None:
    found = over(judged(40), shifts(40, 0.0, 0.0021))
    assert (found.outcome, found.cause) == (Sameness.TOO_LITTLE_DATA, "")


def test_other_tokens_of_the_same_prompts_are_the_template() -> None:
    found = over(judged(40), {}, other_tokens=40)
    assert (found.outcome, found.cause) == (Sameness.DIFFERENT, "template")


def test_without_enough_of_them_it_says_why() -> None:
    few = shifts(FEWEST_PROMPTS - 1, 0.3)
    assert likelihood(few) is None
    assert "7 answers were read out by both" in over(judged(40), few).no_likelihood
    assert (
        over(judged(40), shifts(40, 0.3), because="candidate: no prompt_logprobs").outcome is Sameness.TOO_LITTLE_DATA
    )
