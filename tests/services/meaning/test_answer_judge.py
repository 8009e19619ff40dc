"""What a round of answers means: nothing, other weights, other numerics, a sick cache, another template."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.canaries.engine import PROMPTS, Engine
from watchtower.canaries.asking import Asking
from watchtower.canaries.capture import Capture
from watchtower.canaries.rounds import Judged
from watchtower.services.meaning.answer_judge import AnswerJudge
from watchtower.services.meaning.calibrating import calibrate
from watchtower.settings import ReferenceSettings
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.embeddings import Embedding
from watchtower.vocabulary.references import ReferenceKey, ReferenceSet

KEY = ReferenceKey(model="m", template="chat", sampling="greedy", prompts="p")
SETTINGS = ReferenceSettings(max_tokens=24, cache_checks=4)


class Letters:
    """An encoder of letter counts: equal texts are equal, others are not. Or none at all."""

    def __init__(self) -> None:
        self.name = "letters"
        self.direction = 1.0

    async def embed(self, texts: Sequence[str], *, live: bool = False) -> Embedding:
        if not self.name:
            return Embedding(None, "no encoder is installed")
        counts = [[text.lower().count(letter) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]
        lengths = [sum(count * count for count in row) ** 0.5 for row in counts]
        return Embedding(
            [[self.direction * count / n for count in row] for row, n in zip(counts, lengths, strict=True)],
            "",
            self.name,
        )


class House:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.engine = Engine(self.clock)
        self.encoder = Letters()
        self.asking = Asking(SETTINGS, self.engine.ask)
        self.judge = AnswerJudge(self.encoder, self.clock, minimum_answers=8)

    async def blessed(self) -> ReferenceSet:
        collected = await Capture(self.asking, self.clock, concurrency=2, busy=str).run(PROMPTS, 3)
        made, _ = await calibrate(collected, self.encoder, id="ref-1", key=KEY, engine="sim", wall=1.0)
        return made

    async def round(self, references: ReferenceSet) -> list[Judged]:
        checked = self.asking.cache_checked(references)
        return [
            await self.judge.answer(
                references,
                reference,
                await self.asking.again(
                    reference, f"fresh {reference.prompt.id}", "stable" if reference.prompt.id in checked else ""
                ),
                1,
            )
            for reference in references.references
        ]


@pytest.fixture
def house() -> House:
    return House()


async def test_the_same_engine_is_clean(house: House) -> None:
    judged = await house.round(await house.blessed())
    assert house.judge.round(judged) == (True, "")
    fact = judged[0].fact
    assert (fact.logprob_shift, fact.prefix_agreement, fact.faults, fact.cause) == (0.0, 1.0, [], "")
    assert fact.similarity == pytest.approx(1.0) and fact.centred == pytest.approx(0.0)


async def test_other_weights_are_told_apart_from_rounding(house: House) -> None:
    references = await house.blessed()
    house.engine.rounded = True
    judged = await house.round(references)
    assert house.judge.round(judged) == (False, "numerics")
    assert all(judgement.fact.logprob_allowed == pytest.approx(1e-3) for judgement in judged), (
        "it repeats to the last digit"
    )
    house.engine.rounded, house.engine.checkpoint = False, "other"
    judged = await house.round(references)
    assert house.judge.round(judged) == (False, "weights")
    assert all(judgement.fact.cause == "weights" for judgement in judged)


async def test_a_sick_prefix_cache_shows_only_where_it_was_read(house: House) -> None:
    references = await house.blessed()
    house.engine.stale_salts = ("stable",)
    judged = await house.round(references)
    assert house.judge.round(judged) == (False, "kv_cache")
    assert sum(judgement.fact.cause == "kv_cache" for judgement in judged) == SETTINGS.cache_checks


async def test_another_template_shows_in_the_tokens_of_the_question(house: House) -> None:
    references = await house.blessed()
    house.engine.template = "begin "
    assert house.judge.round(await house.round(references)) == (False, "template")


async def test_without_log_probabilities_words_still_tell_that_something_changed(house: House) -> None:
    house.engine.token_ids = False
    references = await house.blessed()
    assert house.judge.round(await house.round(references)) == (True, "")
    house.engine.checkpoint = "other"
    judged = await house.round(references)
    assert house.judge.round(judged) == (False, "")
    assert judged[0].fact.logprob_shift is None


async def test_garbage_is_never_clean_even_where_nothing_else_can_tell(house: House) -> None:
    references = await house.blessed()
    house.engine.says = lambda text: ""
    judged = await house.round(references)
    assert house.judge.round(judged) == (False, "")
    assert judged[0].fact.faults == ["empty"]


async def test_too_few_answers_say_nothing(house: House) -> None:
    judged = await house.round(await house.blessed())
    assert house.judge.round(judged[:7]) == (None, "")


async def test_without_an_encoder_only_similarity_is_missing(house: House) -> None:
    house.encoder.name = ""
    references = await house.blessed()
    assert references.encoder == "" and all(reference.similarity is None for reference in references.references)
    judged = await house.round(references)
    assert judged[0].fact.similarity is None and judged[0].fact.logprob_shift == 0.0


async def test_vectors_of_another_encoder_are_never_compared(house: House) -> None:
    references = await house.blessed()
    house.encoder.name = "other letters"
    assert (await house.round(references))[0].fact.similarity is None


async def test_an_answer_without_words_has_no_similarity_and_harms_nothing(house: House) -> None:
    house.encoder.direction = 0.0
    references = await house.blessed()
    assert references.references[0].similarity is None
    assert (await house.round(references))[0].fact.similarity is None
