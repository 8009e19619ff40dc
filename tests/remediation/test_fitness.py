"""Between gates and sending the world moves on: each check alone keeps back a plan that no longer fits."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from tests.remediation.scenes import collecting, drained, held_at_once
from tests.remediation.stage import Stage, limits
from watchtower.remediation import fitness
from watchtower.remediation.interface import EvidenceCollected, StorageFailed
from watchtower.remediation.state import HeldLease
from watchtower.vocabulary.actions import ActionState


def with_engine(stage: Stage, **changes: object) -> Stage:
    """What the state says of the engine differs from what the action was decided for; no look has told it yet."""
    engine = msgspec.structs.replace(stage.state.engine, **changes)
    stage.state = msgspec.structs.replace(stage.state, engine=engine)
    return stage


def unidentified() -> Stage:
    return with_engine(held_at_once(Stage()), known=False, because="the adapter did not answer")


def another_incarnation() -> Stage:
    stage = held_at_once(Stage())
    return with_engine(stage, incarnation=stage.named(7))


def dead_by_now() -> Stage:
    return with_engine(held_at_once(Stage()), running=False)


def journal_broken() -> Stage:
    stage = held_at_once(Stage())
    stage.send(StorageFailed("disk full"))
    return stage


def lease_of_somebody_else() -> Stage:
    stage = held_at_once(Stage())
    stage.lease = HeldLease(token=9)
    stage.evaluate()
    return stage


def lease_expired() -> Stage:
    stage = Stage()
    stage.lease = HeldLease(until_boot=1016.0)
    held_at_once(stage)
    stage.clock.advance(5)
    return stage


def lease_lost() -> Stage:
    stage = held_at_once(Stage())
    stage.lease_held = False
    stage.evaluate()
    return stage


def fenced_off() -> Stage:
    stage = held_at_once(Stage())
    stage.state = msgspec.structs.replace(stage.state, fence_token=stage.state.fence_token + 1)
    return stage


def too_late() -> Stage:
    stage = held_at_once(Stage(limits(execute_seconds=2)))
    stage.clock.advance(5)
    return stage


LAW: tuple[tuple[str, Callable[[], Stage]], ...] = (
    ("engine_known", unidentified),
    ("same_incarnation", another_incarnation),
    ("alive_or_dead_as_before", dead_by_now),
    ("journal_sound", journal_broken),
    ("lease_kept", lease_lost),
    ("lease_kept", lease_expired),
    ("lease_kept", lease_of_somebody_else),
    ("not_fenced_off", fenced_off),
    ("in_time", too_late),
)
"""What the adapter contract and the invariants I4, I9 and I19 demand of a plan at the moment it is sent."""
ALL = [pytest.param(*row, id=f"{row[0]}: {row[1].__name__}") for row in LAW]


def test_the_checks_are_those_of_the_specification() -> None:
    assert [check.__name__ for check in fitness.FITNESS] == list(dict.fromkeys(name for name, _ in LAW))


def test_with_no_check_in_the_way_the_same_plan_is_sent() -> None:
    assert drained(held_at_once(Stage())).adapter.sends.total() == 1


@pytest.mark.parametrize(("check", "scene"), ALL)
def test_each_check_alone_keeps_the_plan_from_being_sent(check: str, scene: Callable[[], Stage]) -> None:
    stage = drained(scene())
    action = stage.state.actions[-1]
    assert (action.state, action.charged) == (ActionState.CANCELLED, False)
    assert stage.adapter.sends.total() == 0
    assert not stage.holding


@pytest.mark.parametrize(("check", "scene"), ALL)
def test_without_the_check_its_scene_goes_wrong(
    check: str, scene: Callable[[], Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = scene()
    others = tuple(other for other in fitness.FITNESS if other.__name__ != check)
    assert len(others) == len(fitness.FITNESS) - 1
    monkeypatch.setattr(fitness, "FITNESS", others)
    assert drained(stage).adapter.sends.total() == 1


def test_the_plan_is_looked_at_again_after_the_evidence_was_saved() -> None:
    stage = collecting()
    stage.lease_held = False
    stage.evaluate()
    stage.send(EvidenceCollected(stage.state.actions[-1].op_id, "bundle"))
    assert stage.outcome() is ActionState.CANCELLED
    assert stage.adapter.sends.total() == 0
