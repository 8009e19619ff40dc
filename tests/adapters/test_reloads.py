"""Rollbacks are carried out at most once, over the death of whoever carries them out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from watchtower.adapters.reloads import Reloads
from watchtower.clock import boottime
from watchtower.storage.opledger import OpLedger
from watchtower.vocabulary.actions import Answer, Incarnation, Plan, Reply, ReplyKind, Verb
from watchtower.vocabulary.errors import StorageFault
from watchtower.vocabulary.facts import CheckpointSeen

HERE = Incarnation("4711", "t1", "boot-0")
GOOD, OTHER = "a" * 64, "b" * 64


class Killed(BaseException):
    """The adapter child is gone, in the middle of it."""


class Weights:
    """What is in memory, and how a load of other weights ends."""

    def __init__(self) -> None:
        self.memory = OTHER
        self.loads = 0
        self.paused = False
        self.ends: ReplyKind | None = ReplyKind.ACKED
        """None: killed in the middle."""
        self.before_dying: Callable[[], None] = lambda: None

    def load(self, path: str, digest: str, seconds: float) -> Reply:
        self.loads += 1
        self.paused = True
        if self.ends is None:
            self.before_dying()
            raise Killed
        self.memory = digest if self.ends is ReplyKind.ACKED else self.memory
        self.paused = False
        return Reply(self.ends, "as told")

    def checkpoint(self, at: float) -> CheckpointSeen:
        return CheckpointSeen(at=at, declared="/weights", observed=self.memory)

    def cannot_load(self, path: str) -> str:
        return ""

    def resume(self) -> None:
        self.paused = False


@pytest.fixture
def weights() -> Weights:
    return Weights()


@pytest.fixture
def reborn(weights: Weights, tmp_path: Path) -> Callable[[], Reloads]:
    """A fresh adapter child on the same state directory."""
    return lambda: Reloads(weights, lambda: OpLedger(tmp_path / "reloads.ledger"), lambda: HERE)


def plan(op_id: str = "op-1", **changes: Any) -> Plan:
    usual = Plan(
        op_id=op_id,
        verb=Verb.ROLLBACK,
        incident="inc",
        rule="weights_changed",
        expected_incarnation=HERE,
        attempt=1,
        reason="drift",
        not_after=boottime() + 60,
        fence_token=1,
        checkpoint="/weights",
        digest=GOOD,
    )
    return msgspec.structs.replace(usual, **changes)


def test_the_same_operation_twice_is_one_load_and_one_answer(weights: Weights, reborn: Callable[[], Reloads]) -> None:
    reloads = reborn()
    assert reloads.execute(plan(), 5.0).kind is ReplyKind.ACKED
    assert reloads.execute(plan(), 5.0).kind is ReplyKind.ACKED
    assert reborn().execute(plan(), 5.0).kind is ReplyKind.ACKED
    assert weights.loads == 1
    assert reborn().status("op-1") is Answer.DONE


@pytest.mark.parametrize(
    "changes",
    [
        {"expected_incarnation": Incarnation("4711", "t0", "boot-0")},
        {"not_after": 0.0},
        {"fence_token": 0},
        {"checkpoint": ""},
        {"digest": ""},
    ],
)
def test_what_must_not_be_loaded_is_refused_before_any_effect(
    changes: dict[str, Any], weights: Weights, reborn: Callable[[], Reloads]
) -> None:
    reloads = reborn()
    assert reloads.fence(1)
    assert reloads.execute(plan(**changes), 5.0).kind is ReplyKind.REJECTED
    assert weights.loads == 0


def test_a_fence_holds_over_a_new_child(weights: Weights, reborn: Callable[[], Reloads]) -> None:
    assert reborn().fence(7)
    assert reborn().execute(plan(fence_token=6), 5.0).kind is ReplyKind.REJECTED
    assert reborn().status("op-1") is Answer.NOT_DONE


def test_an_operation_never_seen_is_somebody_elses_and_never_comes_late(
    weights: Weights, reborn: Callable[[], Reloads]
) -> None:
    assert reborn().status("op-1") is None
    assert reborn().status("op-1") is None
    assert reborn().execute(plan(), 5.0).kind is ReplyKind.REJECTED
    assert weights.loads == 0


def test_a_plan_for_nobody_loads_nothing_even_where_nobody_is(weights: Weights, tmp_path: Path) -> None:
    reloads = Reloads(weights, lambda: OpLedger(tmp_path / "reloads.ledger"), lambda: None)
    assert reloads.execute(plan(expected_incarnation=None), 5.0).kind is ReplyKind.REJECTED
    assert weights.loads == 0


@pytest.mark.parametrize(
    ("found", "answer"), [(GOOD, Answer.DONE), (OTHER, Answer.CANNOT_TELL), ("", Answer.CANNOT_TELL)]
)
def test_one_that_was_cut_short_is_settled_by_the_weights_and_its_pause_is_lifted(
    found: str, answer: Answer, weights: Weights, reborn: Callable[[], Reloads]
) -> None:
    weights.ends = None
    with pytest.raises(Killed):
        reborn().execute(plan(), 5.0)
    weights.memory = found
    assert reborn().status("op-1") is answer
    assert weights.paused is (found == ""), "an engine without weights would die of the next request"
    weights.ends = ReplyKind.ACKED
    assert reborn().execute(plan(), 5.0).kind is ReplyKind.UNKNOWN
    assert weights.loads == 1


def test_a_load_that_failed_is_never_called_done_or_not_done(weights: Weights, reborn: Callable[[], Reloads]) -> None:
    weights.ends = ReplyKind.FAILED
    reloads = reborn()
    assert reloads.execute(plan(), 5.0).kind is ReplyKind.FAILED
    assert reloads.status("op-1") is Answer.CANNOT_TELL


def test_while_it_is_under_way_its_status_is_pending(weights: Weights, reborn: Callable[[], Reloads]) -> None:
    reloads, said = reborn(), list[Answer | None]()
    weights.ends, weights.before_dying = None, lambda: said.append(reloads.status("op-1"))
    with pytest.raises(Killed):
        reloads.execute(plan(), 5.0)
    assert said == [Answer.PENDING]


def test_without_a_ledger_nothing_is_touched(weights: Weights) -> None:
    def damaged() -> OpLedger:
        raise StorageFault("reloads.ledger:3: damaged record")

    reloads = Reloads(weights, damaged, lambda: HERE)
    reply = reloads.execute(plan(), 5.0)
    assert (reply.kind, weights.loads) == (ReplyKind.REJECTED, 0)
    assert "damaged" in reply.because
    assert reloads.status("op-1") is Answer.CANNOT_TELL
    assert not reloads.fence(3)
