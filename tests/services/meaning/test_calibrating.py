"""A capture becomes references that know how far healthy answers lie apart."""

from __future__ import annotations

from msgspec.structs import replace

from tests.canaries.engine import PROMPTS
from tests.services.meaning.test_answer_judge import KEY, House
from watchtower.canaries.capture import Collected
from watchtower.services.meaning.calibrating import calibrate, noise
from watchtower.vocabulary.references import EngineAnswer, Prompt, ReferenceSet


def question(id: str, *texts: str) -> Collected:
    return Collected(Prompt(id=id, text=id), [EngineAnswer(text=text, finish_reason="stop") for text in texts])


async def calibrated(house: House, *questions: Collected) -> tuple[ReferenceSet, str]:
    return await calibrate(questions, house.encoder, id="ref-1", key=KEY, engine="sim 1", wall=7.0)


async def test_a_set_holds_every_answer_and_how_much_its_log_probabilities_vary() -> None:
    references = await House().blessed()
    assert len(references.references) == len(PROMPTS) and references.repeats == 3
    assert noise(references.references[0]) == 0.0
    assert noise(replace(references.references[0], logprobs=[])) is None


async def test_answers_that_differ_among_themselves_are_allowed_to_differ_later() -> None:
    same, apart = "the tide rises twice a day", "bread is baked in an oven"
    made, because = await calibrated(House(), question("steady", same, same, same), question("free", same, apart, same))
    assert because == ""
    steady, free = made.references
    assert steady.agreement.mean > free.agreement.mean
    assert steady.similarity is not None and free.similarity is not None
    assert steady.similarity.mean > free.similarity.mean
    assert (made.engine, made.captured_wall, made.key) == ("sim 1", 7.0, KEY)


async def test_without_an_encoder_the_set_says_why_it_holds_no_vectors() -> None:
    house = House()
    house.encoder.name = ""
    made, because = await calibrated(house, question("q", "one", "one", "one"))
    assert (made.encoder, because) == ("", "no encoder is installed")
    assert made.references[0].similarity is None
    assert [answer.vector for answer in made.references[0].answers] == [None] * 3
