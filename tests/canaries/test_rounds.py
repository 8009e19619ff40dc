"""Rounds ask every reference once, within their bounds, and say what they could not ask."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

from tests.canaries.engine import PROMPTS, Engine
from watchtower.canaries.asking import Asking, Replies
from watchtower.canaries.demand import Demand
from watchtower.canaries.rounds import MOST_PATIENCE, Judged, Rounds
from watchtower.lab.simulator import language
from watchtower.settings import ReferenceSettings
from watchtower.tasks import TaskGroup
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.facts import CanaryRound, EngineScrape, ReferenceAnswered
from watchtower.vocabulary.references import Blessed, Normal, Reference, ReferenceKey, ReferenceSet

KEY = ReferenceKey(model="m", template="chat", sampling="greedy", prompts="p")
TOKENS = list(range(40, 60))


def references(count: int = 12) -> ReferenceSet:
    made = [
        Reference(
            prompt=prompt,
            answers=[Blessed(text="the blessed answer")] * 3,
            prompt_token_ids=language.prompt_tokens(prompt.text),
            answer_token_ids=TOKENS,
            logprobs=[[-1.0] * len(TOKENS)] * 3,
            agreement=Normal(1.0, 0.0),
        )
        for prompt in PROMPTS[:count]
    ]
    return ReferenceSet(id="ref-1", key=KEY, captured_wall=0.0, repeats=3, references=made)


class Lenient:
    """A judge who finds everything clean."""

    def __init__(self) -> None:
        self.replies: dict[str, Replies] = {}

    async def answer(self, references: ReferenceSet, reference: Reference, replies: Replies, round: int) -> Judged:
        self.replies[reference.prompt.id] = replies
        return Judged(ReferenceAnswered(at=1000.0, round=round, reference=reference.prompt.id, prefix_agreement=1.0))

    def round(self, judged: Sequence[Judged]) -> tuple[bool | None, str]:
        return (True, "") if judged else (None, "")


class House:
    def __init__(self, ranks: int = 1, **settings: object) -> None:
        self.clock = HandClock()
        self.engine = Engine(self.clock)
        self.settings = ReferenceSettings(**settings)
        self.facts: list[ReferenceAnswered | CanaryRound] = []
        self.judge = Lenient()
        self.demand = Demand(self.clock.now().boot, own=0)
        self.blessed: ReferenceSet | None = references()
        self.rounds = Rounds(
            self.settings,
            clock=self.clock,
            asking=Asking(self.settings, self.engine.ask),
            judge=self.judge,
            demand=self.demand,
            blessed=lambda: self.blessed,
            on_fact=self.facts.append,
            ranks=ranks,
        )

    def answers(self) -> list[ReferenceAnswered]:
        return [fact for fact in self.facts if isinstance(fact, ReferenceAnswered)]

    def told(self) -> list[CanaryRound]:
        return [fact for fact in self.facts if isinstance(fact, CanaryRound)]

    async def round(self) -> CanaryRound:
        assert self.blessed is not None
        return await self.rounds.hold(self.blessed)

    async def run(self, turns: int = 3000) -> None:
        """Let the loop of rounds run for a while."""
        tasks = TaskGroup(self.clock.sleep)
        tasks.start("rounds", self.rounds.run, restart_after=None)
        for _ in range(turns):
            await asyncio.sleep(0)
        await tasks.stop()


async def test_a_round_asks_every_reference_once_and_says_so() -> None:
    house = House()
    told = await house.round()
    assert sorted(answer.reference for answer in house.answers()) == sorted(prompt.id for prompt in PROMPTS)
    assert (told.asked, told.answered, told.clean, told.because) == (12, 12, True, "")
    assert house.facts[-1] == told and house.rounds.results["clean"] == 1


async def test_never_more_requests_at_once_than_allowed() -> None:
    house = House(concurrency=3)
    await house.round()
    assert house.engine.most_at_once == 3


async def test_every_salt_is_fresh_but_those_of_the_cache_checks() -> None:
    house = House(cache_checks=2)
    await house.round()
    first = [question.salt for question in house.engine.asked]
    house.engine.asked.clear()
    await house.round()
    again = {question.salt for question in house.engine.asked} & set(first)
    assert again == {"ref-1-q10", "ref-1-q11"}, "the longest questions"
    assert all(first)
    assert house.judge.replies["q11"].cached is not None and house.judge.replies["q0"].cached is None


async def test_a_budget_of_tokens_makes_references_take_turns() -> None:
    house = House(tokens_per_round=800, cache_checks=0)
    asked = []
    for _ in range(4):
        house.facts.clear()
        await house.round()
        asked.append([answer.reference for answer in house.answers()])
    assert all(0 < len(references) < 12 for references in asked)
    assert {name for references in asked for name in references} == {prompt.id for prompt in PROMPTS}
    assert house.rounds.tokens <= 4 * 800


async def test_the_first_answer_that_does_not_come_ends_the_round() -> None:
    house = House(concurrency=1)
    house.engine.because = "no answer in time"
    told = await house.round()
    assert len(house.engine.asked) == 1
    assert (told.asked, told.answered, told.clean, told.because) == (1, 0, None, "no answer in time")
    assert {answer.because for answer in house.answers()} == {"no answer in time"}
    assert house.rounds.results["unclear"] == 1


async def test_a_queue_that_appears_in_mid_round_stops_the_rest() -> None:
    house = House(concurrency=1)

    def crowd(text: str) -> str:
        for _ in range(2):
            house.demand.absorb(EngineScrape(at=house.clock.now().boot, ok=True, waiting=2.0))
        return "an answer"

    house.engine.says = crowd
    told = await house.round()
    assert told.answered == 1 and "saturated" in told.because


async def test_a_saturated_engine_is_left_alone_with_growing_patience() -> None:
    house = House(least_interval_seconds=10.0, every_seconds=10.0)
    began = house.clock.now().boot

    def scraped() -> None:
        house.demand.absorb(EngineScrape(at=house.clock.now().boot, ok=True, waiting=1.0))

    scraped()
    scraped()
    house.rounds.wish("regular", regular=True)
    tasks = TaskGroup(house.clock.sleep)
    tasks.start("rounds", house.rounds.run, restart_after=None)
    while house.clock.now().boot - began < 500:
        scraped()
        await asyncio.sleep(0)
    assert house.engine.asked == []
    waits = [fact.at - began for fact in house.told()]
    gaps = [round(b - a) for a, b in pairwise(waits)]
    assert gaps[:4] == [10, 20, 40, 80] and max(gaps) == 10 * MOST_PATIENCE
    house.demand.absorb(EngineScrape(at=house.clock.now().boot, ok=True, waiting=0.0))
    for _ in range(5000):
        await asyncio.sleep(0)
    await tasks.stop()
    assert house.told()[-1].answered == 12


async def test_regular_rounds_rest_while_users_ask_nothing_and_a_hint_does_not() -> None:
    house = House(idle_seconds=60.0)
    house.clock.advance(61.0)
    house.rounds.wish("regular", regular=True)
    await house.run(50)
    assert house.engine.asked == [] and "canaries rest" in house.told()[-1].because
    house.rounds.wish("a hint")
    await house.run()
    assert house.told()[-1].answered == 12


async def test_an_engine_that_need_not_rest_is_asked_while_idle_too() -> None:
    house = House(idle_seconds=60.0, while_idle=True)
    house.clock.advance(61.0)
    house.rounds.wish("regular", regular=True)
    await house.run()
    assert house.told()[-1].answered == 12


async def test_many_wishes_make_one_round_and_none_comes_too_soon() -> None:
    house = House(least_interval_seconds=5.0)
    for _ in range(3):
        house.rounds.wish("a hint")
    await house.run()
    assert house.rounds.count == 1
    ended = house.clock.now().boot
    house.rounds.wish("another")
    await house.run()
    assert house.rounds.count == 2 and house.answers()[-1].round == 2 and house.clock.now().boot >= ended


async def test_without_references_nothing_is_asked_and_nothing_is_told() -> None:
    house = House()
    house.blessed = None
    house.rounds.wish("regular", regular=True)
    await house.run(50)
    assert house.engine.asked == [] and house.facts == []


async def test_each_data_parallel_rank_is_visited_and_judged_alone() -> None:
    house = House(ranks=3)
    house.rounds.wish("regular")
    await house.run()
    assert [told.rank for told in house.told()] == [0, 1, 2]
    assert all(told.answered == len(PROMPTS) for told in house.told())
    assert {(answer.rank, answer.reference) for answer in house.answers()} == {
        (n, prompt.id) for n in range(3) for prompt in PROMPTS
    }
    assert {question.rank for question in house.engine.asked} == {0, 1, 2}


async def test_an_engine_that_does_not_answer_at_one_rank_is_not_asked_at_the_next() -> None:
    house = House(ranks=3)
    house.engine.because = "no answer in time"
    house.rounds.wish("regular")
    await house.run()
    assert [told.rank for told in house.told()] == [0]


async def test_without_data_parallelism_the_engine_chooses() -> None:
    house = House()
    await house.round()
    assert {question.rank for question in house.engine.asked} == {-1}
