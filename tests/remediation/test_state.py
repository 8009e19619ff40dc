"""The memory of remediation: one value, readable after any crash, on any later boot."""

from __future__ import annotations

import typing

import msgspec
import pytest

from tests.remediation.stage import Stage, limits
from watchtower.remediation import state as states
from watchtower.remediation.state import TargetState, rebased
from watchtower.vocabulary.actions import ActionState
from watchtower.vocabulary.incidents import IncidentState
from watchtower.vocabulary.instants import Instant

STRUCTS = (
    states.EngineView,
    states.Pause,
    states.Breaker,
    states.HeldLease,
    states.Stopped,
    states.Approval,
    states.Action,
    states.Incident,
    TargetState,
)
NOT_MARKS = {"opened_wall", "started_wall", "ended_wall", "closed_wall", "until_wall"}


def lived() -> Stage:
    """A state with everything in it."""
    stage = Stage().acting()
    stage.until(IncidentState.RESOLVED)
    stage.command("pause", reason="deploy", seconds=900.0)
    stage.breach().tick(5)
    return stage


def test_every_instant_is_moved_to_the_new_boot() -> None:
    """A float that is neither a mark nor a duration would silently keep the old boot's clock."""
    for struct in STRUCTS:
        hints = typing.get_type_hints(struct)
        floats = {
            name
            for name, hint in hints.items()
            if hint is float or (float in typing.get_args(hint) and name != "cycles")
        }
        durations = {name for name in floats if name.endswith("_seconds")}
        assert floats - durations - NOT_MARKS == set(struct.marks)


def reboot(stage: Stage, *, boot: float = 3.0, wall: float = 0.0) -> TargetState:
    now = stage.clock.now()
    return rebased(stage.state, Instant(boot, now.wall + wall, "another-boot"))


def test_without_a_reboot_nothing_moves() -> None:
    stage = lived()
    assert rebased(stage.state, stage.clock.now().later(50)) is stage.state


@pytest.mark.parametrize("wall", [0.0, 3600.0, -86_400.0, -1.7e9, 1e9])
def test_a_reboot_forgets_no_budget_whatever_the_wall_clock_says(wall: float) -> None:
    stage = lived()
    spent = stage.state.actions[0]
    age = stage.clock.now().boot - spent.started_at
    moved = reboot(stage, wall=wall).actions[0]
    assert 3.0 - moved.started_at == pytest.approx(age + 3.0)
    assert moved.charged


def test_a_cooldown_that_was_running_starts_again_in_full() -> None:
    stage = Stage(limits(cooldown_seconds=100)).acting()
    stage.until(IncidentState.RECOVERING)
    stage.tick(60)
    assert reboot(stage).cooldown_from == 3.0
    stage.tick(60)
    over = reboot(stage)
    assert over.cooldown_from is not None
    assert over.cooldown_from + over.cooldown_seconds < 3.0


def test_a_pause_keeps_what_was_left_of_it() -> None:
    stage = Stage().quiet()
    stage.command("pause", reason="deploy", seconds=100.0)
    stage.tick(40)
    pause = reboot(stage).pause
    assert pause is not None
    assert pause.until == pytest.approx(60.0)


def test_a_host_that_reboots_in_the_middle_of_a_cure_is_verified_not_repeated() -> None:
    stage = Stage()
    stage.adapter.answers = False
    stage.acting()
    stage.clock = type(stage.clock)(boot=20.0, boot_id="another-boot")
    stage.adapter.answers = True
    stage.crash()
    stage.tick(2)
    assert stage.effects == 0
    assert stage.state.actions[-1].state in {ActionState.NOT_EXECUTED, ActionState.ACKED, ActionState.VERIFYING}


def test_old_actions_are_forgotten_only_when_nothing_counts_them_any_more() -> None:
    stage = Stage().acting()
    stage.until(IncidentState.RESOLVED)
    many = tuple(msgspec.structs.replace(stage.state.actions[0], op_id=f"op-{n}") for n in range(80))
    crowded = msgspec.structs.replace(stage.state, actions=many)
    now = stage.clock.now()
    assert len(states.trimmed(crowded, now).actions) == 80
    assert len(states.trimmed(crowded, now.later(states.DAY / 2)).actions) == 80, "the budget of a day counts them"
    assert len(states.trimmed(crowded, now.later(states.DAY)).actions) == 50


def test_names_are_short_distinct_and_the_same_for_the_same_history() -> None:
    first, second = lived(), lived()
    assert first.state == second.state
    ids = [notice.id for notice in first.notices]
    assert len(set(ids)) == len(ids)
    assert all(len(action.op_id) <= 16 for action in first.state.actions)
