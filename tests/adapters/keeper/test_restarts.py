"""What the keeper refuses, it refuses before any effect; what it did, it does not do again."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread
from typing import Any, cast

import msgspec
import pytest

from watchtower.adapters.keeper.engine_tree import CannotEnd, EngineTree
from watchtower.adapters.keeper.restarts import Restarts
from watchtower.clock import boot_id, boottime
from watchtower.storage.opledger import OpLedger
from watchtower.vocabulary.actions import Answer, Incarnation, Plan, ReplyKind, Verb
from watchtower.vocabulary.operations import EngineExited, EngineStarted, Operation

OLD = Incarnation(id="100", started="1", boot_id=boot_id())
GONE = Incarnation(id="99", started="1", boot_id=boot_id())


class Tree:
    """An engine tree without processes: it counts what was done to it."""

    def __init__(self) -> None:
        self.engine: EngineStarted | None = EngineStarted(incarnation=OLD, mark="m")
        self.exited: EngineExited | None = None
        self.ended = self.started = 0
        self.may_end = Event()
        self.may_end.set()
        self.sticks = False
        self.differs = ""

    def incarnation(self) -> Incarnation | None:
        return self.engine.incarnation if self.engine else None

    def because(self) -> str:
        return ""

    def cannot_start(self) -> str:
        return ""

    def other_environment(self) -> str:
        return self.differs

    def end(self, why: str) -> None:
        self.ended += 1
        self.may_end.wait(10)
        if self.sticks:
            raise CannotEnd("process 100 survived SIGKILL")

    def start(self, op_id: str, reason: str) -> Incarnation:
        self.started += 1
        new = Incarnation(id=str(100 + self.started), started="2", boot_id=boot_id())
        self.engine = EngineStarted(incarnation=new, mark="m", op_id=op_id)
        return new


class Keeper:
    def __init__(self, directory: Path) -> None:
        self.ledger = OpLedger(directory / "keeper.ledger")
        self.tree = Tree()
        self.restarts = Restarts(self.ledger, cast(EngineTree, self.tree), lambda said: None)

    @property
    def effects(self) -> tuple[int, int]:
        return self.tree.ended, self.tree.started


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path)


def plan(op_id: str = "op-1", **changes: Any) -> Plan:
    usual = Plan(
        op_id=op_id,
        verb=Verb.RESTART_GROUP,
        incident="inc-1",
        rule="slow_tokens",
        expected_incarnation=OLD,
        attempt=1,
        reason="slow",
        not_after=boottime() + 60,
        fence_token=5,
    )
    return msgspec.structs.replace(usual, **changes)


def test_a_plan_that_fits_is_carried_out_once_and_answered_alike_for_ever(keeper: Keeper) -> None:
    first, second = keeper.restarts.execute(plan()), keeper.restarts.execute(plan())
    assert first == second and first.kind is ReplyKind.ACKED
    assert keeper.effects == (1, 1)
    assert keeper.restarts.status("op-1") is Answer.DONE


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"expected_incarnation": Incarnation(id="7", started="1", boot_id=boot_id())}, "it was meant for engine"),
        ({"not_after": 0.0}, "it came after its time"),
        ({"fence_token": 4}, "its fence token 4 is lower than 5"),
        ({"verb": Verb.ROLLBACK}, "this keeper knows no rollback"),
    ],
    ids=["another incarnation", "too late", "fenced off", "unknown verb"],
)
def test_a_plan_that_does_not_fit_is_refused_before_any_effect_and_for_ever(
    keeper: Keeper, changes: dict[str, Any], because: str
) -> None:
    assert keeper.restarts.fence(5) == ""
    reply = keeper.restarts.execute(plan(**changes))
    assert reply.kind is ReplyKind.REJECTED and because in reply.because
    assert keeper.effects == (0, 0)
    assert keeper.restarts.status("op-1") is Answer.NOT_DONE
    assert keeper.restarts.execute(plan()).kind is ReplyKind.REJECTED, "the same op_id is answered the same way"


def test_a_restart_in_another_environment_is_refused_with_the_difference_and_a_persons_start_is_not(
    keeper: Keeper,
) -> None:
    keeper.tree.differs = "changed: HF_HOME"
    reply = keeper.restarts.execute(plan())
    assert reply.kind is ReplyKind.REJECTED
    assert "another environment" in reply.because and reply.because.endswith("changed: HF_HOME")
    assert keeper.effects == (0, 0)
    keeper.tree.engine = None
    assert keeper.restarts.start(again=True) == ""
    assert keeper.tree.started == 1


def test_what_a_dead_keeper_promised_is_not_made_up_for_in_another_environment(tmp_path: Path) -> None:
    first = Keeper(tmp_path)
    first.ledger.append(Operation.begun(plan(expected_incarnation=GONE), at=boottime(), boot_id=boot_id()))
    keeper = Keeper(tmp_path)
    keeper.tree.differs = "missing: HF_HOME"
    keeper.restarts.recover()
    assert keeper.tree.started == 0
    assert keeper.restarts.status("op-1") is Answer.CANNOT_TELL
    assert "missing: HF_HOME" in keeper.ledger.operations["op-1"].because


def test_two_operations_are_never_under_way_at_once(keeper: Keeper) -> None:
    keeper.tree.may_end.clear()
    first = Thread(target=keeper.restarts.execute, args=(plan("op-1"),))
    first.start()
    for _ in range(1000):
        if keeper.tree.ended:
            break
        Event().wait(0.005)
    assert keeper.restarts.status("op-1") is Answer.PENDING
    reply = keeper.restarts.execute(plan("op-2"))
    assert reply.kind is ReplyKind.REJECTED and "operation op-1 is under way" in reply.because
    assert keeper.restarts.start(again=True) == "", "an engine runs, nothing to do"
    keeper.tree.may_end.set()
    first.join(10)
    assert keeper.effects == (1, 1)


def test_an_operation_that_was_asked_about_before_it_came_never_happens(keeper: Keeper) -> None:
    assert keeper.restarts.status("op-1") is Answer.NOT_DONE
    assert keeper.restarts.execute(plan()).kind is ReplyKind.REJECTED
    assert keeper.effects == (0, 0)


def test_a_tree_that_cannot_be_ended_is_unclear_and_nothing_is_started_beside_it(keeper: Keeper) -> None:
    keeper.tree.sticks = True
    assert keeper.restarts.execute(plan()).kind is ReplyKind.UNKNOWN
    assert keeper.effects == (1, 0)
    assert keeper.restarts.status("op-1") is Answer.CANNOT_TELL
