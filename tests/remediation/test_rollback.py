"""Back to the blessed checkpoint: when, how it is proven, and what happens when it goes wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.remediation.scenes import compensating, drifted
from tests.remediation.stage import GOOD, OTHER, SERVED, Rule, Stage
from watchtower.remediation.interface import Dispatch, Drained, EngineObserved, HoldTraffic, ReadBack, ReleaseTraffic
from watchtower.vocabulary.actions import ActionState, Answer, Cure, Mode, ReplyKind, Verb
from watchtower.vocabulary.facts import CanaryOutcome, CheckpointSeen, EngineSeen
from watchtower.vocabulary.incidents import IncidentState, NoticeKind
from watchtower.vocabulary.readings import Verdict

THIRD = "c" * 64


def test_other_weights_are_read_back_once_and_then_rolled_back() -> None:
    stage = drifted().tick(2)
    assert stage.phase() is IncidentState.HELD
    assert stage.held_by == {"data_unknown"}
    stage.tick()
    assert stage.effects == 1
    plan = stage.adapter.plans[0]
    assert (plan.verb, plan.checkpoint, plan.digest) == (Verb.ROLLBACK, SERVED, GOOD)
    assert stage.read_because.count("meaning_drift asks for a rollback") == 1


def test_a_rollback_keeps_the_incarnation_and_is_proven_by_weights_canary_and_readings() -> None:
    stage = drifted()
    before = stage.incarnation
    stage.until(IncidentState.RECOVERING)
    action = stage.state.actions[-1]
    assert (action.state, stage.memory, stage.incarnation) == (ActionState.EFFECTIVE, GOOD, before)
    assert action.verified_by == (
        f"the checksum of the weights in memory is the blessed one again: {GOOD[:12]}, before {OTHER[:12]}",
        f"{GOOD[:12]} served a canary in 0.25 s",
        "meaning_drift is back inside its limit: 40 ms against 130 ms",
    )
    assert "worked" in stage.notices_of(NoticeKind.RESULT)[0].text


def test_traffic_is_held_and_drained_before_and_released_only_after_a_canary() -> None:
    stage = drifted()
    stage.canary = CanaryOutcome.HUNG
    stage.tick(3)
    assert [effect.drain for effect in stage.log if isinstance(effect, HoldTraffic)] == [True]
    assert stage.holding
    stage.canary = CanaryOutcome.SERVED
    stage.tick()
    released = not stage.holding
    assert released
    order = [type(effect) for effect in stage.log if isinstance(effect, HoldTraffic | Dispatch | ReleaseTraffic)]
    assert order == [HoldTraffic, Dispatch, ReleaseTraffic]


def test_the_same_weights_are_never_loaded_again_whatever_the_answers_say() -> None:
    stage = Stage(rules=[Rule("meaning_drift", cure=Cure.ROLLBACK)]).blessed().breach().tick(20)
    assert stage.held_by == {"no_checkpoint_change"}
    assert f"the blessed checkpoint {GOOD[:12]} is in memory" in stage.incident.held[0].because
    assert stage.effects == 0


def test_drift_without_other_weights_becomes_a_persons_business() -> None:
    stage = Stage(rules=[Rule("meaning_drift", cure=Cure.ROLLBACK)]).blessed().breach()
    stage.until(IncidentState.ESCALATED)
    assert stage.effects == 0


def test_nothing_blessed_no_rollback() -> None:
    stage = Stage(rules=[Rule("meaning_drift", cure=Cure.ROLLBACK)]).quiet().drift().tick(10)
    assert "no checkpoint is blessed" in stage.incident.held[0].because
    assert stage.effects == 0


def test_an_engine_whose_weights_cannot_be_read_is_not_touched() -> None:
    stage = drifted()
    stage.memory = ""
    stage.tick(20)
    assert stage.effects == 0
    assert any("cannot be read back" in refusal.because for refusal in stage.incident.held)


def test_an_acknowledgement_is_not_believed() -> None:
    stage = drifted()
    stage.adapter.carries_out = False  # it says acked, and did nothing
    stage.tick(4)
    assert stage.records_of("action.harmful")[0].body["because"] == (
        f"the weights in memory read {OTHER[:12]}, not the blessed {GOOD[:12]}"
    )


def test_files_that_changed_on_disk_are_found_out_and_nothing_is_tried_twice() -> None:
    stage = drifted()
    stage.files[SERVED] = THIRD
    stage.until(IncidentState.ESCALATED)
    kinds = [(action.verb, action.state) for action in stage.state.actions]
    assert kinds == [(Verb.ROLLBACK, ActionState.HARMFUL), (Verb.RESTART_GROUP, ActionState.INEFFECTIVE)]
    assert "not the blessed" in stage.incident.why


def test_a_reload_that_failed_half_way_is_made_up_for_by_one_restart_with_the_traffic_still_held() -> None:
    stage = compensating()
    stage.canary = CanaryOutcome.REFUSED
    stage.tick(3)
    rollback, restart = stage.state.actions
    assert (rollback.state, restart.verb) == (ActionState.HARMFUL, Verb.RESTART_GROUP)
    assert restart.compensates == rollback.op_id
    released = [effect.op_id for effect in stage.log if isinstance(effect, ReleaseTraffic)]
    assert rollback.op_id not in released


def test_the_compensation_is_effective_only_with_the_blessed_weights_in_memory() -> None:
    stage = compensating()
    stage.until(IncidentState.RECOVERING)
    rollback, restart = stage.state.actions
    assert (rollback.state, restart.state) == (ActionState.HARMFUL, ActionState.EFFECTIVE)
    assert restart.compensates == rollback.op_id
    assert f"the checksum of the weights in memory is the blessed one again: {GOOD[:12]}" in restart.verified_by[1]
    assert "the incarnation changed" in restart.verified_by[0]


def test_a_start_that_loads_something_else_is_no_way_out() -> None:
    stage = compensating()
    stage.declared = "/weights/new"
    stage.files["/weights/new"] = OTHER
    stage.tick(3)
    assert stage.phase() is IncidentState.ESCALATED
    assert "a start loads /weights/new, the blessed checkpoint is /weights/served" in stage.incident.why
    assert [action.verb for action in stage.state.actions] == [Verb.ROLLBACK]
    assert not stage.holding


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"restarts_per_day": 0}, "0 of 0 restarts"),
        ({"modes": {"meaning_drift.restart_group": Mode.OBSERVE}}, "restart_group is not auto"),
    ],
)
def test_a_compensation_has_its_own_permissions(changes: dict[str, Any], why: str) -> None:
    stage = compensating(**changes).tick(3)
    assert stage.phase() is IncidentState.ESCALATED
    assert why in stage.incident.why


def test_an_engine_that_dies_of_the_reload_is_replaced_once() -> None:
    stage = drifted().tick(2)
    stage.adapter.answers = False
    stage.tick()
    assert stage.outcome() is ActionState.HOLDING
    stage.adapter.answers = True
    real = stage.execute

    def execute(plan: Any) -> None:
        if plan.verb is Verb.ROLLBACK:
            stage.running = False
            stage.adapter.carries_out, stage.adapter.reply = False, ReplyKind.UNKNOWN
            stage.adapter.status = Answer.CANNOT_TELL
        else:
            stage.running = True
            stage.adapter.carries_out, stage.adapter.reply = True, ReplyKind.ACKED
        real(plan)

    stage.execute = execute  # type: ignore[method-assign]
    stage.send(Drained(stage.state.actions[-1].op_id, 0))
    stage.until(IncidentState.RECOVERING)
    assert [action.state for action in stage.state.actions] == [ActionState.HARMFUL, ActionState.EFFECTIVE]


def test_readings_that_stay_bad_with_the_blessed_weights_are_a_persons_business() -> None:
    stage = drifted(Stage(rules=[Rule("meaning_drift", cure=Cure.ROLLBACK)], cures=False))
    stage.until(IncidentState.ESCALATED)
    assert [action.state for action in stage.state.actions] == [ActionState.INEFFECTIVE]
    assert "a rollback is not tried twice" in stage.incident.why


def test_a_restart_by_somebody_else_in_the_middle_leaves_no_verdict() -> None:
    stage = drifted()
    stage.canary = CanaryOutcome.HUNG
    stage.tick(3)
    assert stage.outcome() is ActionState.ACKED
    stage.restart_engine()
    stage.tick()
    assert stage.outcome() is ActionState.INCONCLUSIVE
    assert not stage.holding


def test_an_old_answer_about_the_weights_proves_nothing() -> None:
    stage = drifted()
    stage.adapter.carries_out = False
    stage.adapter.reply = ReplyKind.UNKNOWN
    stage.adapter.status = Answer.PENDING
    stage.tick(3)
    action = stage.state.actions[-1]
    assert action.state is ActionState.RECONCILE
    before = action.started_at - 1
    stage.send(ReadBack(CheckpointSeen(at=before, declared=SERVED, observed=GOOD)))
    assert stage.state.actions[-1].state is ActionState.RECONCILE


def test_after_an_unclear_reply_the_weights_themselves_can_tell() -> None:
    stage = drifted()
    stage.adapter.reply = ReplyKind.UNKNOWN
    stage.adapter.status = Answer.CANNOT_TELL
    stage.until(IncidentState.RECOVERING)
    assert stage.outcome() is ActionState.EFFECTIVE
    assert sum(stage.adapter.sends.values()) == 1


def test_an_unclear_reply_that_nothing_settles_is_ambiguous_and_never_sent_again() -> None:
    stage = drifted()
    stage.adapter.reply, stage.adapter.carries_out = ReplyKind.UNKNOWN, False
    stage.adapter.status = Answer.CANNOT_TELL
    stage.until(IncidentState.ESCALATED)
    assert stage.outcome() is ActionState.AMBIGUOUS
    assert sum(stage.adapter.sends.values()) == 1


def test_watchtower_killed_after_sending_takes_the_rollback_up_where_it_is() -> None:
    stage = drifted().tick(2)
    stage.adapter.answers = False
    stage.tick()
    stage.adapter.answers = True
    stage.die_before = Dispatch
    stage.send(Drained(stage.state.actions[-1].op_id, 0))
    assert stage.died == 1
    stage.tick(2)
    assert stage.outcome() is ActionState.NOT_EXECUTED
    assert not stage.state.actions[-1].charged


def test_one_rollback_a_day_is_the_limit() -> None:
    stage = drifted(rollbacks_per_day=1, recurrence_seconds=1)
    stage.until(IncidentState.RESOLVED)
    stage.drift()
    stage.tick(60)
    assert "1 of 1 rollbacks in the last 24 h are used" in [refusal.because for refusal in stage.incident.held]


def test_a_dry_run_says_what_it_would_do_and_reads_only() -> None:
    stage = drifted(mode=Mode.OBSERVE).tick(5)
    assert stage.effects == 0
    assert stage.records_of("action.would_act")[0].body["verb"] == "rollback"


def test_a_rollback_goes_before_a_restart_when_both_are_due() -> None:
    rules = [Rule("slow_tokens"), Rule("meaning_drift", cure=Cure.ROLLBACK)]
    stage = Stage(rules=rules).blessed()
    stage.memory = OTHER
    stage.breach("meaning_drift").tick(2)
    stage.rules[0].verdict = Verdict.BREACH
    stage.tick()
    assert stage.adapter.plans[0].verb is Verb.ROLLBACK


def test_an_answer_about_an_earlier_incarnation_is_none() -> None:
    stage = Stage().quiet()
    stage.restart_engine()
    asked = stage.clock.now().boot
    stage.tick()
    stage.send(ReadBack(CheckpointSeen(at=asked - 1, declared=SERVED, observed=OTHER)))
    assert stage.state.checkpoints.observed == GOOD
    stage.send(
        EngineObserved(EngineSeen(at=stage.clock.now().boot, known=True, ended=stage.incarnation, because="signal 9"))
    )
    assert stage.state.checkpoints.observed == ""
