import pytest

from tests.canaries.engine import PROMPTS, Engine
from watchtower.canaries.asking import Asking
from watchtower.canaries.capture import Capture
from watchtower.settings import ReferenceSettings
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.errors import Refused


class House:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.engine = Engine(self.clock)
        self.busy = ""
        asking = Asking(ReferenceSettings(max_tokens=20), self.engine.ask)
        self.capture = Capture(asking, self.clock, concurrency=3, busy=lambda: self.busy)


async def test_every_question_is_asked_and_read_again_as_often_as_told() -> None:
    house = House()
    collected = await house.capture.run(PROMPTS, 4)
    assert [reference.prompt for reference in collected] == PROMPTS
    assert all(len(reference.answers) == len(reference.logprobs) == 4 for reference in collected)
    assert all(len(run) == len(reference.answers[0].token_ids) for reference in collected for run in reference.logprobs)
    assert house.capture.done == house.capture.total == 2 * 4 * len(PROMPTS)
    assert len({question.salt for question in house.engine.asked}) == len(house.engine.asked)
    assert house.engine.most_at_once == 3


async def test_the_repeats_of_a_question_are_spread_over_the_capture() -> None:
    house = House()
    await house.capture.run(PROMPTS, 3)
    texts = [question.text for question in house.engine.asked if question.text]
    assert texts[: len(PROMPTS)] == [prompt.text for prompt in PROMPTS]


async def test_an_engine_without_token_ids_gives_references_without_logprobs_and_says_why() -> None:
    house = House()
    house.engine.token_ids = False
    collected = await house.capture.run(PROMPTS, 3)
    assert all(not reference.logprobs and len(reference.answers) == 3 for reference in collected)
    assert house.capture.no_logprobs == "the engine gives no token ids"
    assert house.capture.done == house.capture.total


async def test_a_busy_or_silent_engine_is_no_measure() -> None:
    house = House()
    house.busy = "the engine is saturated: 2 requests wait in its queue"
    with pytest.raises(Refused, match="saturated"):
        await house.capture.run(PROMPTS, 3)
    assert house.engine.asked == []
    house.busy, house.engine.because = "", "HTTP 503"
    with pytest.raises(Refused, match=r"did not answer question q\d+: HTTP 503"):
        await house.capture.run(PROMPTS, 3)


async def test_a_question_without_an_answer_is_asked_again() -> None:
    house = House()
    house.engine.silences = 3
    collected = await house.capture.run(PROMPTS[:1], 3)
    assert len(collected[0].answers) == 3


async def test_a_template_that_changes_on_the_way_is_seen() -> None:
    house = House()
    collected = await house.capture.run(PROMPTS[:1], 3)
    assert not collected[0].template_changed
    house.engine.template = "begin "
    collected[0].answers += (await house.capture.run(PROMPTS[:1], 3))[0].answers
    assert collected[0].template_changed
