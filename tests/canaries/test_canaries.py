"""One canary at a time, never oftener than allowed, and none without an end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from watchtower.canaries.canaries import Canaries
from watchtower.settings import CanarySettings
from watchtower.tasks import TaskGroup
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.facts import CanaryEnded, CanaryOutcome, CanaryStarted


class Engine:
    """Answers after ``takes`` seconds; remembers when it was asked, and how many asked at once."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.takes = 0.25
        self.outcome = CanaryOutcome.SERVED
        self.problem: Exception | None = None
        self.asked: list[tuple[str, float, float]] = []
        self.at_once = self.most_at_once = 0
        self.while_asked: Callable[[], None] = lambda: None

    async def send(self, id: str, started_at: float, deadline_seconds: float) -> CanaryEnded:
        self.asked.append((id, started_at, deadline_seconds))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.while_asked()
        await self.clock.sleep(self.takes)
        self.at_once -= 1
        if self.problem:
            raise self.problem
        at = self.clock.now().boot
        return CanaryEnded(at=at, id=id, started_at=started_at, outcome=self.outcome, seconds=at - started_at)


class House:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.engine = Engine(self.clock)
        self.facts: list[CanaryStarted | CanaryEnded] = []
        settings = CanarySettings(least_interval_seconds=2, deadline_seconds=4)
        self.canaries = Canaries(settings, clock=self.clock, send=self.engine.send, on_fact=self.facts.append)

    async def for_seconds(self, seconds: float, act: Callable[[], None] = lambda: None) -> None:
        """Run, doing ``act`` whenever the canaries had a turn, until so much time has passed."""
        until = self.clock.now().boot + seconds
        tasks = TaskGroup(self.clock.sleep)
        tasks.start("canaries", self.canaries.run, restart_after=1.0)
        while self.clock.now().boot < until:
            act()
            await asyncio.sleep(0)
        await tasks.stop()

    @property
    def asked_at(self) -> list[float]:
        return [round(started - 1000.0, 3) for _, started, _ in self.engine.asked]


@pytest.fixture
def house() -> House:
    return House()


async def test_without_a_wish_nothing_is_sent(house: House) -> None:
    await house.for_seconds(60)
    assert house.facts == []


async def test_a_wish_becomes_one_canary_with_its_reason_and_its_end(house: House) -> None:
    house.canaries.wish("a hint")
    await house.for_seconds(10)
    started, ended = house.facts
    assert isinstance(started, CanaryStarted) and isinstance(ended, CanaryEnded)
    assert (started.id, started.why) == (ended.id, "a hint")
    assert (ended.started_at, ended.outcome) == (started.at, CanaryOutcome.SERVED)
    assert house.engine.asked[0][2] == 4, "the deadline of the configuration"
    assert house.canaries.outcomes[CanaryOutcome.SERVED] == 1


async def test_wishes_at_every_moment_are_served_no_oftener_than_allowed(house: House) -> None:
    await house.for_seconds(20, lambda: house.canaries.wish("again"))
    gaps = [later - earlier for earlier, later in zip(house.asked_at, house.asked_at[1:], strict=False)]
    assert len(gaps) >= 8
    assert min(gaps) >= 2
    assert house.engine.most_at_once == 1


async def test_a_wish_during_a_canary_is_served_after_it(house: House) -> None:
    house.engine.takes = 5.0
    house.canaries.wish("first")
    house.engine.while_asked = lambda: house.canaries.wish("second") if len(house.engine.asked) == 1 else None
    await house.for_seconds(20)
    assert house.asked_at == [0.0, 5.0]
    assert [fact.why for fact in house.facts if isinstance(fact, CanaryStarted)] == ["first", "second"]


async def test_many_wishes_before_it_may_be_sent_are_one(house: House) -> None:
    for why in ("hint", "regular", "proof"):
        house.canaries.wish(why)
    await house.for_seconds(20)
    assert [fact.why for fact in house.facts if isinstance(fact, CanaryStarted)] == ["hint"]


async def test_every_name_is_new(house: House) -> None:
    await house.for_seconds(20, lambda: house.canaries.wish("again"))
    names = [id for id, _, _ in house.engine.asked]
    assert len(set(names)) == len(names) > 5


async def test_every_outcome_is_counted(house: House) -> None:
    for outcome in CanaryOutcome:
        house.engine.outcome = outcome
        house.canaries.wish("count")
        await house.for_seconds(5)
    assert house.canaries.outcomes == dict.fromkeys(CanaryOutcome, 1)


async def test_a_canary_that_could_not_be_sent_ends_unknown_and_the_next_is_sent(house: House) -> None:
    """Without its end it would read as an engine that does not answer."""
    house.engine.problem = RuntimeError("the pipe is gone")
    house.canaries.wish("first")
    await house.for_seconds(5)
    ended = house.facts[-1]
    assert isinstance(ended, CanaryEnded)
    assert (ended.outcome, len(house.facts)) == (CanaryOutcome.UNKNOWN, 2)
    assert ended.seconds == pytest.approx(0.25)
    house.engine.problem = None
    house.canaries.wish("second")
    await house.for_seconds(5)
    assert [fact.outcome for fact in house.facts if isinstance(fact, CanaryEnded)][-1] is CanaryOutcome.SERVED


async def test_a_canary_cut_off_by_the_end_of_the_daemon_has_its_end_too(house: House) -> None:
    house.engine.takes = 1e6
    never = asyncio.Event()

    async def hang(id: str, started_at: float, deadline_seconds: float) -> CanaryEnded:
        await never.wait()
        raise AssertionError

    send: Callable[..., Awaitable[CanaryEnded]] = hang
    canaries = Canaries(CanarySettings(), clock=house.clock, send=send, on_fact=house.facts.append)
    canaries.wish("last")
    running = asyncio.create_task(canaries.run())
    while not house.facts:  # noqa: ASYNC110  (it waits for a plain value)
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert isinstance(house.facts[-1], CanaryEnded) and house.facts[-1].outcome is CanaryOutcome.UNKNOWN
