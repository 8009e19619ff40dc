"""Unclear outcomes: fenced, asked about, never sent again."""

from __future__ import annotations

import msgspec
import pytest

from tests.remediation.stage import CLASS_A, CLASS_B, CLASS_C, Stage, limits
from watchtower.remediation.departure import plan_of
from watchtower.remediation.interface import (
    AskStatus,
    Dispatch,
    Drained,
    ExecuteReplied,
    Fenced,
    HoldTraffic,
    RaiseFence,
    ReleaseTraffic,
    SendCanary,
    StatusAnswered,
)
from watchtower.remediation.snapshots import encode
from watchtower.vocabulary.actions import ActionState, Answer, Capabilities, Reply, ReplyKind
from watchtower.vocabulary.incidents import IncidentState

CLASSES = {"A": CLASS_A, "B": CLASS_B, "C": CLASS_C}


def unclear(capabilities: Capabilities, *, happened: bool) -> Stage:
    """``execute`` timed out."""
    stage = Stage(capabilities=capabilities)
    stage.adapter.reply, stage.adapter.carries_out = ReplyKind.UNKNOWN, happened
    return stage.acting()


def test_the_fence_is_raised_before_anybody_is_asked() -> None:
    stage = unclear(CLASS_A, happened=False)
    order = [type(effect) for effect in stage.log if isinstance(effect, RaiseFence | AskStatus)]
    assert order == [RaiseFence, AskStatus]
    assert stage.adapter.highest_fence == 2


def test_where_it_happened_the_new_incarnation_is_verified() -> None:
    stage = unclear(CLASS_A, happened=True)
    stage.until(IncidentState.RECOVERING)
    assert stage.outcome() is ActionState.EFFECTIVE
    assert stage.effects == 1


def test_where_it_provably_did_not_happen_the_budget_is_given_back() -> None:
    stage = unclear(CLASS_A, happened=False)
    action = stage.state.actions[-1]
    assert (action.state, action.charged) == (ActionState.NOT_EXECUTED, False)
    assert stage.phase() is IncidentState.HELD
    assert not stage.holding


def test_the_next_plan_carries_the_raised_fence() -> None:
    stage = unclear(CLASS_A, happened=False)
    stage.adapter.reply, stage.adapter.carries_out = ReplyKind.ACKED, True
    stage.until(IncidentState.RECOVERING)
    assert [plan.fence_token for plan in stage.adapter.plans] == [1, 2]
    assert len({plan.op_id for plan in stage.adapter.plans}) == 2


def test_an_adapter_without_memory_that_cannot_tell_ends_with_a_person_and_no_refund() -> None:
    stage = unclear(CLASS_C, happened=False)
    assert stage.outcome() is ActionState.RECONCILE
    stage.tick(22)
    action = stage.state.actions[-1]
    assert (action.state, action.charged) == (ActionState.AMBIGUOUS, True)
    assert stage.phase() is IncidentState.ESCALATED
    assert stage.adapter.sends.total() == 1
    assert not stage.holding


def test_a_changed_incarnation_tells_even_where_the_adapter_cannot() -> None:
    stage = unclear(CLASS_C, happened=False)
    stage.tick(5)
    stage.restart_engine()
    stage.well()
    stage.until(IncidentState.RECOVERING)
    assert stage.outcome() is ActionState.EFFECTIVE


def test_not_done_is_believed_under_a_confirmed_fence() -> None:
    stage = Stage(capabilities=CLASS_B)
    stage.adapter.reply, stage.adapter.carries_out = ReplyKind.UNKNOWN, False
    stage.adapter.status = Answer.NOT_DONE
    stage.acting()
    assert stage.outcome() is ActionState.NOT_EXECUTED


@pytest.mark.parametrize("capabilities", [CLASS_B, CLASS_C], ids=["unconfirmed", "no fence"])
def test_not_done_without_a_fence_is_no_proof(capabilities: Capabilities) -> None:
    stage = Stage(capabilities=capabilities)
    stage.adapter.answers = False
    stage.acting()
    op_id = stage.state.actions[-1].op_id
    stage.adapter.carries_out = False
    stage.send(Drained(op_id, 0))
    stage.send(ExecuteReplied(op_id, Reply(ReplyKind.UNKNOWN)))
    if capabilities.fence:
        stage.send(Fenced(stage.state.fence_token, confirmed=False))
    stage.send(StatusAnswered(op_id, Answer.NOT_DONE))
    action = stage.state.actions[-1]
    assert (action.state, action.charged) == (ActionState.AMBIGUOUS, True)


def test_pending_is_asked_again_once_an_evaluation_until_the_deadline() -> None:
    stage = Stage(capabilities=CLASS_A)
    stage.adapter.reply, stage.adapter.carries_out = ReplyKind.UNKNOWN, False
    stage.adapter.status = Answer.PENDING
    stage.acting().tick(10)
    assert sum(isinstance(effect, AskStatus) for effect in stage.log) == 11
    stage.tick(11)
    assert stage.outcome() is ActionState.AMBIGUOUS


def test_a_fence_of_another_time_is_ignored() -> None:
    stage = Stage(capabilities=CLASS_C)
    stage.quiet().send(Fenced(7, confirmed=True))
    assert stage.kinds("action.ignored") == ["action.ignored"]


# ── Watchtower itself dies ──────────────────────────────────────────────────────────────────────


def killed(at: type, capabilities: Capabilities) -> Stage:
    """SIGKILL after the commit of a step and before the first effect of kind ``at``; then a new process."""
    stage = Stage(limits(startup_grace_seconds=3), capabilities)
    stage.quiet()
    stage.die_before = at
    stage.breach().tick(3)
    assert stage.died == 1, "the test proves nothing if the process did not die"
    return stage


@pytest.mark.parametrize("at", [HoldTraffic, Dispatch, ReleaseTraffic, SendCanary], ids=lambda at: at.__name__)
def test_a_durable_adapter_feels_exactly_one_effect_wherever_we_die(at: type) -> None:
    stage = killed(at, CLASS_A)
    stage.until(IncidentState.RESOLVED, within=600)
    assert stage.effects == 1
    assert max(stage.adapter.sends.values()) == 1
    assert not stage.holding


@pytest.mark.parametrize("at", [HoldTraffic, Dispatch], ids=lambda at: at.__name__)
def test_without_durable_memory_a_death_in_the_middle_ends_with_a_person(at: type) -> None:
    stage = killed(at, CLASS_C)
    stage.until(IncidentState.ESCALATED)
    assert stage.effects == 0
    assert stage.adapter.sends.total() == 0


def test_the_same_incident_goes_on_after_a_death() -> None:
    stage = killed(Dispatch, CLASS_A)
    stage.until(IncidentState.RESOLVED, within=600)
    assert len({record.body["incident"] for record in stage.records if record.kind.startswith("incident.")}) == 1


def test_what_was_never_sent_is_not_sent_later_but_decided_anew() -> None:
    stage = killed(Dispatch, CLASS_A)
    first = stage.state.actions[0]
    assert (first.state, first.charged) == (ActionState.NOT_EXECUTED, False)
    assert stage.state.cooldown_from is None, "nothing was touched, so nothing must cool down"
    stage.until(IncidentState.RECOVERING)
    assert [action.state for action in stage.state.actions] == [ActionState.NOT_EXECUTED, ActionState.EFFECTIVE]
    assert stage.adapter.sends[first.op_id] == 0


def test_what_was_done_while_we_were_dead_is_verified() -> None:
    stage = Stage(capabilities=CLASS_A)
    stage.adapter.answers = False
    stage.acting()
    stage.perform(Dispatch(plan_of(stage.state.actions[-1])))
    stage.adapter.answers = True
    stage.crash()
    stage.until(IncidentState.RECOVERING)
    assert stage.effects == 1


def test_verification_starts_again_with_a_full_window_after_a_death() -> None:
    stage = Stage()
    stage.acting().tick(8)
    assert stage.outcome() is ActionState.VERIFYING
    stage.crash()
    stage.tick(9)
    assert stage.outcome() is ActionState.VERIFYING
    stage.tick(3)
    assert stage.outcome() is ActionState.EFFECTIVE


def test_dying_again_and_again_does_not_put_the_deadline_off_for_ever() -> None:
    stage = Stage(capabilities=CLASS_C)
    stage.adapter.reply, stage.adapter.carries_out = ReplyKind.UNKNOWN, False
    stage.acting()
    for _ in range(10):
        stage.tick(10)
        stage.crash()
    assert stage.phase() is IncidentState.ESCALATED


def test_a_reservation_without_intent_is_given_back() -> None:
    stage = Stage()
    stage.adapter.answers = False
    stage.acting()
    torn = msgspec.structs.replace(stage.state.actions[-1], state=ActionState.RESERVED)
    stage.state = msgspec.structs.replace(stage.state, actions=(torn,))
    stage.disk = encode(stage.state)
    stage.crash()
    action = stage.state.actions[-1]
    assert (action.state, action.charged) == (ActionState.CANCELLED, False)


def test_a_release_lost_with_the_process_that_wanted_it_is_wanted_again() -> None:
    stage = Stage()
    stage.adapter.reply, stage.adapter.carries_out = ReplyKind.REJECTED, False
    stage.quiet()
    stage.die_before = ReleaseTraffic
    stage.breach().tick(2)
    assert stage.died == 1
    assert stage.outcome() is ActionState.REJECTED
    assert not stage.holding
