"""Durable before done: what the runner writes, publishes and does, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from tests.remediation.stage import CLASS_A, Rule, limits
from watchtower.remediation.interface import (
    AskStatus,
    Canaried,
    Collect,
    Commanded,
    Drained,
    Effect,
    EngineObserved,
    Event,
    Evidence,
    EvidenceCollected,
    ExecuteReplied,
    Fenced,
    HoldTraffic,
    RaiseFence,
    ReadBack,
    Record,
    Reserve,
    Reserved,
    Started,
    StatusAnswered,
    StopEngine,
    StorageFailed,
)
from watchtower.remediation.snapshots import decode
from watchtower.remediation.state import TargetState
from watchtower.services.curing.runner import Runner
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.actions import ActionState, Answer, Incarnation, Plan, Reply, ReplyKind, Verb
from watchtower.vocabulary.errors import Deadline, StorageFault
from watchtower.vocabulary.facts import CanaryEnded, CanaryOutcome, CheckpointSeen, EngineSeen
from watchtower.vocabulary.incidents import IncidentState, Notice
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.readings import Verdict


class House:
    """Memory, adapter, traffic and board in one: writes down the order in which each is used."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.log: list[str] = []
        self.disk: bytes | None = None
        self.records: list[Record] = []
        self.notices: list[Notice] = []
        self.fails: Callable[[Sequence[Record]], bool] = lambda records: False
        self.spawned: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
        self.meanwhile: Callable[[], Coroutine[Any, Any, None]] | None = None
        """What happens while the weights are read."""
        self.generation = 1
        self.rule = Rule()
        self.runner = self.fresh(TargetState(target="engine"))

    def fresh(self, state: TargetState) -> Runner:
        return Runner(
            state,
            limits=limits(),
            capabilities=CLASS_A,
            clock=self.clock,
            memory=self,
            traffic=self,
            hands=self,
            send_canary=lambda why: self.log.append("canary"),
            spawn=self.spawn,
            stop_engine=lambda reason: self.log.append(f"stop: {reason}"),
            on_commit=lambda state: self.log.append("published"),
        )

    # ── what the runner is connected to ─────────────────────────────────────────────────────────

    async def commit(self, records: Sequence[Record], snapshot: bytes, notices: Sequence[Notice], now: Instant) -> None:
        if self.fails(records):
            self.log.append("disk failed")
            raise StorageFault("the disk is full")
        self.log += [record.kind for record in records]
        self.records += records
        self.notices += notices
        self.disk = snapshot

    def spawn(self, name: str, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        assert name.split()[0] not in self.spawned, "two tasks of one name: the task group refuses the second"
        self.log.append(f"spawned {name.split()[0]}")
        self.spawned[name.split()[0]] = make

    async def hold(self, op_id: str, *, drain: bool) -> int:
        self.log.append("hold")
        return 2

    async def release(self, op_id: str) -> None:
        self.log.append("release")

    async def execute(self, plan: Plan) -> Reply:
        self.log.append("execute")
        assert self.disk is not None
        assert decode(self.disk).actions[-1].state is ActionState.DISPATCHED, "durable before it is done"
        self.generation += 1
        return Reply(ReplyKind.ACKED)

    async def status(self, op_id: str) -> Answer:
        return Answer.DONE

    async def checkpoint(self) -> CheckpointSeen:
        if self.meanwhile:
            happens, self.meanwhile = self.meanwhile, None
            await happens()
        return CheckpointSeen(at=self.clock.now().boot, declared="", because="it has no weights")

    async def fence(self, token: int) -> bool:
        return True

    # ── driving ─────────────────────────────────────────────────────────────────────────────────

    async def settle(self) -> None:
        """Everything that is queued or spawned happens."""
        while self.spawned or not self.runner.events_waiting.empty():
            while not self.runner.events_waiting.empty():
                await self.runner.step(self.runner.events_waiting.get_nowait())
            if self.spawned:
                name = next(iter(self.spawned))
                await self.spawned.pop(name)()

    async def second(self) -> None:
        at = self.clock.advance(1).boot
        who = Incarnation("4711", f"t{self.generation}", "test-boot")
        await self.runner.step(EngineObserved(EngineSeen(at=at, known=True, incarnation=who, serving=True)))
        await self.runner.step(Evidence(verdicts=(self.rule.says(at),)))

    def served(self) -> Canaried:
        """A canary sent and answered after the engine was last seen."""
        at = self.clock.advance(0.5).boot
        return Canaried(CanaryEnded(at=at, id="c", started_at=at - 0.2, outcome=CanaryOutcome.SERVED, seconds=0.2))

    async def quiet(self) -> House:
        await self.runner.step(Started())
        for _ in range(12):
            await self.second()
        return self

    async def until_wanted(self, what: str) -> None:
        self.rule.verdict = Verdict.BREACH
        for _ in range(10):
            if what in self.spawned:
                return
            await self.second()
        raise AssertionError(f"{what} was never wanted: {self.log}")


@pytest.fixture
async def house() -> House:
    return await House().quiet()


def after(log: list[str], first: str, then: str) -> bool:
    return first in log and then in log and log.index(first) < log.index(then)


async def test_the_intent_is_durable_and_published_before_traffic_is_held(house: House) -> None:
    await house.until_wanted("hold")
    *_, intended, moved, published, wanted = house.log
    assert [intended, moved, published, wanted] == ["action.intent", "incident.acting", "published", "spawned hold"]
    assert "hold" not in house.log, "effects run beside the consumer of events, not inside it"


async def test_weights_are_read_one_at_a_time_and_again_for_an_engine_that_came_meanwhile(house: House) -> None:
    async def another_engine() -> None:
        house.generation += 1
        await house.second()

    house.meanwhile = another_engine
    await house.spawned.pop("read")()
    assert house.log.count("spawned read") == 1
    answers = [house.runner.events_waiting.get_nowait() for _ in range(house.runner.events_waiting.qsize())]
    assert [type(answer) for answer in answers] == [ReadBack, ReadBack]
    house.generation += 1
    await house.second()
    assert house.log.count("spawned read") == 2


async def test_what_an_effect_brings_back_comes_in_as_an_event(house: House) -> None:
    await house.until_wanted("hold")
    await house.spawned.pop("hold")()
    drained = house.runner.events_waiting.get_nowait()
    assert isinstance(drained, Drained) and drained.left_open == 2
    await house.runner.step(drained)
    await house.spawned.pop("execute")()
    replied = house.runner.events_waiting.get_nowait()
    assert isinstance(replied, ExecuteReplied) and replied.reply.kind is ReplyKind.ACKED
    await house.runner.step(replied)
    assert house.runner.state.actions[-1].state is ActionState.ACKED


async def test_a_whole_cure_is_carried_out_in_the_written_order(house: House) -> None:
    house.log.clear()
    await house.until_wanted("hold")
    await house.settle()
    house.rule.verdict = Verdict.OK
    for _ in range(3):
        await house.second()
        await house.settle()
    await house.runner.step(house.served())
    for _ in range(20):
        await house.second()
    order = ["action.intent", "hold", "action.dispatched", "execute", "action.acked", "canary", "release"]
    assert [step for step in house.log if step in order and step != "canary"] == [s for s in order if s != "canary"]
    assert after(house.log, "execute", "canary") and after(house.log, "canary", "release")
    assert house.runner.state.actions[-1].state is ActionState.EFFECTIVE
    assert house.log.count("execute") == 1


async def test_a_failed_commit_drops_the_effects_and_the_new_state(house: House) -> None:
    house.fails = lambda records: any(record.kind == "action.intent" for record in records)
    house.rule.verdict = Verdict.BREACH
    for _ in range(3):
        await house.second()
        if "disk failed" in house.log:
            break
    assert "disk failed" in house.log
    assert set(house.spawned) <= {"read"}, "looking is no effect"
    assert house.runner.state.actions == (), "the step never happened"
    assert house.runner.events_waiting.get_nowait() == StorageFailed("the disk is full")


async def test_after_a_failed_commit_nothing_is_done_any_more(house: House) -> None:
    house.fails = lambda records: any(record.kind == "action.intent" for record in records)
    house.rule.verdict = Verdict.BREACH
    for _ in range(30):
        await house.second()
        await house.settle()
    assert house.runner.state.storage_fault == "the disk is full"
    assert house.log.count("disk failed") == 1
    assert "hold" not in house.log and "execute" not in house.log
    assert house.runner.state.incident is not None
    assert house.runner.state.incident.state is IncidentState.HELD
    assert [notice.kind.value for notice in house.notices].count("storage_fault") == 1


async def test_a_failed_commit_still_releases_held_traffic(house: House) -> None:
    """Requests that wait for a cure must not wait for a disk."""
    await house.until_wanted("hold")
    await house.settle()
    await house.second()
    house.fails = lambda records: any(record.kind == "action.verifying" for record in records)
    house.log.clear()
    await house.runner.step(house.served())
    assert house.log == ["disk failed", "release"]


async def test_not_even_memory_left_still_latches_and_does_not_spin(house: House) -> None:
    house.fails = lambda records: True
    await house.runner.step(StorageFailed("gone"))
    assert house.runner.state.storage_fault == "gone"
    assert house.runner.events_waiting.empty()


async def test_every_effect_with_an_answer_is_answered_as_its_own_event(house: House) -> None:
    for effect, answer in (
        (HoldTraffic("op-9", drain=False), Drained("op-9", 2)),
        (RaiseFence(7), Fenced(7, True)),
        (AskStatus("op-9"), StatusAnswered("op-9", Answer.DONE)),
    ):
        await house.runner._perform(effect)
        await house.spawned.popitem()[1]()
        assert house.runner.events_waiting.get_nowait() == answer


@pytest.mark.parametrize(
    ("effect", "answer"),
    [
        (Reserve("op-9", Verb.RESTART_GROUP, 0), Reserved("op-9", True, "there is no fleet")),
        (Collect("op-9"), EvidenceCollected("op-9", "", "nobody collects evidence")),
    ],
    ids=["fleet", "evidence"],
)
async def test_where_nobody_has_a_say_the_answer_is_there_at_once(house: House, effect: Effect, answer: Event) -> None:
    await house.runner._perform(effect)
    assert house.runner.events_waiting.get_nowait() == answer


async def test_whoever_owns_the_engine_hears_of_a_stop(house: House) -> None:
    await house.runner._perform(StopEngine("ann", "maintenance"))
    assert house.log[-1] == "stop: ann: maintenance"


async def test_a_step_without_records_touches_no_disk(house: House) -> None:
    disk, log = house.disk, len(house.log)
    await house.second()
    assert house.disk is disk
    assert house.log[log:] == ["published", "published"]


async def test_a_full_queue_drops_and_counts(house: House) -> None:
    for _ in range(house.runner.events_waiting.maxsize + 5):
        house.runner.submit(Evidence(verdicts=()))
    assert house.runner.dropped == 5


# ── commands ────────────────────────────────────────────────────────────────────────────────────


async def asked(house: House, command: Commanded, within: float = 1.0) -> str:
    """As the web room asks, with the runner running beside it."""
    running = asyncio.create_task(house.runner.run())
    try:
        return await house.runner.command(command, within)
    finally:
        running.cancel()


async def test_a_command_is_answered_when_it_is_durable(house: House) -> None:
    assert await asked(house, Commanded(verb="pause", author="ann", reason="deploying", seconds=60)) == ""
    assert house.runner.state.pause is not None
    assert house.records[-1].kind == "command.pause"


@pytest.mark.parametrize(
    ("verb", "because"),
    [
        ("resume", "nothing is paused"),
        ("breaker_reset", "the breaker is closed"),
        ("ack_resolve", "no incident is escalated"),
    ],
)
async def test_a_command_that_is_not_obeyed_is_answered_with_the_reason(house: House, verb: str, because: str) -> None:
    assert await asked(house, Commanded(verb=verb, author="ann", reason="r")) == because


async def test_a_command_that_could_not_be_written_down_was_not_obeyed(house: House) -> None:
    house.fails = lambda records: records[0].kind == "command.pause"
    answer = await asked(house, Commanded(verb="pause", author="ann", reason="r", seconds=60))
    assert "not done" in answer and "the disk is full" in answer
    assert house.runner.state.pause is None


async def test_a_command_that_nobody_takes_is_not_called_done(house: House) -> None:
    with pytest.raises(Deadline):
        await house.runner.command(Commanded(verb="pause", author="ann", reason="r", seconds=60), within=0.05)
    assert house.runner._asked == []


async def test_two_equal_commands_get_their_own_answers(house: House) -> None:
    await house.runner.step(Commanded(verb="pause", author="ann", reason="r", seconds=60))
    running = asyncio.create_task(house.runner.run())
    answers = await asyncio.gather(
        *(house.runner.command(Commanded(verb="resume", author="ann"), 1.0) for _ in range(2))
    )
    running.cancel()
    assert answers == ["", "nothing is paused"]
    assert house.runner._asked == []
