"""The contract of an engine adapter, and of the weights it may offer, over a real server.

A plug-in author subclasses ``EngineContract`` and gives it two pytest fixtures: ``served``, an adapter whose engine
serves, and ``gone``, one whose engine is not there; its settings hold the key ``SECRET``. ``WeightsContract`` needs
``weights``, and ``loadable``: a path that can be loaded with the digest that it must then read, or None.
"""

from __future__ import annotations

from watchtower.clock import boottime
from watchtower.ports import Engine, Weights
from watchtower.vocabulary.actions import ReplyKind
from watchtower.vocabulary.facts import CanaryOutcome
from watchtower.vocabulary.references import Question

SECRET = "never-to-be-said"  # noqa: S105 - of the tests


class EngineContract:
    """Every promise of port ``Engine``."""

    def test_an_engine_that_serves_says_so_and_which_version_it_is(self, served: Engine) -> None:
        serving, version = served.serving()
        assert serving
        assert len(version) <= 64

    def test_a_canary_is_one_real_generation_under_its_own_name(self, served: Engine) -> None:
        began = boottime()
        ended = served.canary("c-1", began, 10.0)
        assert (ended.id, ended.started_at, ended.outcome) == ("c-1", began, CanaryOutcome.SERVED), ended.because
        assert 0 < ended.seconds < 10

    def test_a_scrape_has_its_instant_and_finite_values(self, served: Engine) -> None:
        served.canary("c-1", boottime(), 10.0)
        scrape = served.scrape(7.0)
        assert (scrape.at, scrape.ok, scrape.because) == (7.0, True, "")

    def test_a_question_is_answered_with_text(self, served: Engine) -> None:
        answer = served.ask(Question(text="Say one word.", salt="contract", max_tokens=8, seconds=10.0))
        assert answer.because == ""
        assert answer.text

    def test_log_probabilities_come_for_each_token_or_with_the_reason_why_not(self, served: Engine) -> None:
        answer = served.ask(Question(token_ids=[1, 2, 3], salt="contract", seconds=10.0))
        assert answer.because or len(answer.logprobs) == 3

    def test_an_engine_that_is_gone_is_no_exception(self, gone: Engine) -> None:
        assert gone.serving() == (False, "")
        scrape = gone.scrape(7.0)
        assert (scrape.at, scrape.ok, bool(scrape.because)) == (7.0, False, True)
        ended = gone.canary("c-1", boottime(), 1.0)
        assert ended.outcome in (CanaryOutcome.REFUSED, CanaryOutcome.HUNG)
        answer = gone.ask(Question(text="Say one word.", seconds=1.0))
        assert answer.because
        assert answer.text == ""

    def test_no_reason_carries_a_secret(self, gone: Engine) -> None:
        said = gone.scrape(0.0).because + gone.canary("c-1", boottime(), 1.0).because
        said += gone.ask(Question(text="?", seconds=1.0)).because
        assert SECRET not in said


class WeightsContract:
    """Every promise of port ``Weights``."""

    def test_reading_them_back_says_what_they_are_or_why_it_cannot_tell(self, weights: Weights) -> None:
        seen = weights.checkpoint(7.0)
        assert seen.at == 7.0
        assert bool(seen.observed) is not bool(seen.because)

    def test_a_path_that_is_not_there_is_refused_before_anything_is_touched(self, weights: Weights) -> None:
        before = weights.checkpoint(0.0)
        assert weights.cannot_load("/no/such/weights")
        reply = weights.load("/no/such/weights", "0" * 64, 10.0)
        assert reply.kind is ReplyKind.REJECTED
        assert 0 < len(reply.because) <= 300
        assert weights.checkpoint(0.0) == before

    def test_what_can_be_loaded_is_in_memory_afterwards_and_read_back(
        self, weights: Weights, loadable: tuple[str, str] | None
    ) -> None:
        if loadable is None:
            assert weights.checkpoint(0.0).because, "whoever can read weights back can also load them"
            return
        path, digest = loadable
        assert weights.cannot_load(path) == ""
        assert weights.load(path, digest, 30.0).kind is ReplyKind.ACKED
        assert weights.checkpoint(0.0).observed == digest

    def test_other_weights_than_the_wanted_ones_are_never_called_a_success(
        self, weights: Weights, loadable: tuple[str, str] | None
    ) -> None:
        path = loadable[0] if loadable else "/no/such/weights"
        assert weights.load(path, "0" * 64, 30.0).kind is not ReplyKind.ACKED

    def test_lifting_a_pause_that_nobody_made_is_harmless(self, weights: Weights) -> None:
        weights.resume()
        weights.resume()
