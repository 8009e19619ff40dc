"""What was spent stays spent: over restarts, reboots and many actions, for as long as a budget looks back."""

from __future__ import annotations

import msgspec
import pytest

from tests.remediation.stage import Stage, limits
from watchtower.remediation import state as states
from watchtower.remediation.gates import over_budget, spent
from watchtower.remediation.remedies import remedy_of
from watchtower.remediation.snapshots import decode, encode
from watchtower.remediation.state import DAY, HOUR, KEPT, TargetState, rebased, trimmed
from watchtower.vocabulary.actions import Verb
from watchtower.vocabulary.incidents import HoldReason, IncidentState
from watchtower.vocabulary.instants import Instant

POOL = remedy_of(Verb.RESTART_GROUP).pool


def acted(actions: int, ago: float) -> tuple[TargetState, Instant]:
    """A state with so many charged restarts, all begun ``ago`` seconds before now."""
    stage = Stage().acting()
    stage.until(IncidentState.RESOLVED)
    now = stage.clock.now()
    first = msgspec.structs.replace(stage.state.actions[0], started_at=now.boot - ago)
    return msgspec.structs.replace(stage.state, actions=(first,) * actions), now


def test_a_restart_forgets_nothing_that_was_spent() -> None:
    state, now = acted(3, ago=60.0)
    again = decode(encode(state))
    assert spent(again, now, POOL, HOUR) == 3
    refusal = over_budget(again, now, limits(restarts_per_hour=3), Verb.RESTART_GROUP)
    assert refusal is not None and refusal.gate is HoldReason.BUDGET


def test_a_reboot_of_the_machine_forgets_nothing_that_was_spent() -> None:
    state, now = acted(3, ago=60.0)
    rebooted = Instant(5.0, now.wall + 30.0, "another-boot")
    assert spent(rebased(state, rebooted), rebooted, POOL, HOUR) == 3


@pytest.mark.parametrize(("ago", "kept"), [(DAY - 60.0, 2 * KEPT), (DAY + 60.0, KEPT)])
def test_actions_are_kept_for_as_long_as_a_daily_budget_counts_them(ago: float, kept: int) -> None:
    state, now = acted(2 * KEPT, ago)
    assert len(trimmed(state, now).actions) == kept
    assert spent(trimmed(state, now), now, POOL, DAY) == (2 * KEPT if ago < DAY else 0)


def test_the_memory_reaches_back_as_far_as_the_longest_budget() -> None:
    longest = max(allowance.seconds for verb in Verb for allowance in remedy_of(verb).allowances(limits()))
    assert longest <= states.MEMORY_SECONDS
