"""The way from a permitted proposal to held traffic, with and without others who have a say."""

from __future__ import annotations

import msgspec
import pytest

from tests.remediation.scenes import EVERYBODY, SCENES, awaiting_approval, collecting, reserving, silent
from tests.remediation.stage import Rule, Stage, limits
from watchtower.remediation.departure import APPROVAL_SECONDS, digest_of, plan_of
from watchtower.remediation.interface import (
    Approved,
    Collect,
    Denied,
    Dispatch,
    Drained,
    Effect,
    EvidenceCollected,
    ExecuteReplied,
    HoldTraffic,
    Participants,
    Record,
    ReleaseTraffic,
    Reserve,
    Reserved,
    Settle,
)
from watchtower.vocabulary.actions import ActionState, Cure, Incarnation, Mode, Reply, ReplyKind, Verb
from watchtower.vocabulary.incidents import IncidentState
from watchtower.vocabulary.readings import Verdict

WATCHED = Reserve | HoldTraffic | Collect | Dispatch | ReleaseTraffic | Settle


def steps(log: list[Effect]) -> list[str]:
    """Records and effects of the actions, in the order they were asked for."""
    return [
        effect.kind if isinstance(effect, Record) else type(effect).__name__
        for effect in log
        if isinstance(effect, WATCHED) or (isinstance(effect, Record) and effect.kind.startswith("action."))
    ]


def compensating(participants: Participants) -> Stage:
    """A rollback failed half-way, and the fleet has not said yet whether the restart may be."""
    stage = Stage(limits(), rules=[Rule("meaning_drift", cure=Cure.ROLLBACK)], participants=participants)
    stage.adapter.reply, stage.adapter.carries_out = ReplyKind.FAILED, False
    stage.blessed().drift().tick(2)
    stage.adapter.answers = False
    stage.tick()
    for answer in (Reserved, Drained):
        stage.send(answer(stage.state.actions[-1].op_id, 1))  # type: ignore[arg-type]
    op_id = stage.state.actions[-1].op_id
    stage.send(ExecuteReplied(op_id, Reply(ReplyKind.FAILED, "half of it was loaded")))
    return stage


def approve(stage: Stage, **changes: str) -> Stage:
    action = stage.state.actions[-1]
    stage.send(Approved(**({"op_id": action.op_id, "digest": digest_of(action), "by": "ben"} | changes)))
    return stage


def charged(stage: Stage) -> tuple[ActionState, bool]:
    action = stage.state.actions[-1]
    return action.state, action.charged


def test_where_everybody_has_a_say_each_is_asked_in_turn_and_each_state_is_durable_before_its_effect() -> None:
    stage = Stage(limits(mode=Mode.APPROVE), participants=EVERYBODY).acting()
    assert charged(stage) == (ActionState.AWAITING_APPROVAL, False)
    approve(stage).until(IncidentState.RECOVERING)
    assert steps(stage.log) == [
        "action.awaiting_approval",
        "action.reserving",
        "Reserve",
        "action.reserved",
        "action.intent",
        "HoldTraffic",
        "action.collecting",
        "Collect",
        "action.dispatched",
        "Dispatch",
        "action.acked",
        "action.verifying",
        "ReleaseTraffic",
        "action.effective",
        "Settle",
    ]
    action = stage.state.actions[-1]
    assert action.bundle == f"bundle-of-{action.op_id}"
    assert stage.settled == {action.op_id: True}


def test_where_nobody_else_has_a_say_all_of_it_is_one_step() -> None:
    stage = silent(Stage()).quiet().breach().tick()
    stage.log.clear()
    stage.tick()
    assert steps(stage.log) == ["action.reserved", "action.intent", "HoldTraffic"]
    assert charged(stage) == (ActionState.HOLDING, True)


@pytest.mark.parametrize(
    "participants", [Participants(), Participants(fleet=True), Participants(collector=True), EVERYBODY]
)
def test_whoever_has_a_say_the_engine_feels_the_same(participants: Participants) -> None:
    stage = Stage(participants=participants).acting()
    stage.until(IncidentState.RECOVERING)
    assert stage.effects == 1
    assert stage.outcome() is ActionState.EFFECTIVE


# ── a person is asked ───────────────────────────────────────────────────────────────────────────


def test_while_a_person_is_asked_nothing_is_charged_held_or_sent() -> None:
    stage = awaiting_approval().tick(20)
    assert charged(stage) == (ActionState.AWAITING_APPROVAL, False)
    assert steps(stage.log) == ["action.awaiting_approval"]
    assert stage.phase() is IncidentState.ACTING


def test_an_approval_of_anything_else_is_none() -> None:
    stage = approve(awaiting_approval(), digest="0" * 24)
    assert stage.outcome() is ActionState.AWAITING_APPROVAL
    assert stage.kinds("action.ignored")


@pytest.mark.parametrize(
    "changes",
    [
        {"verb": Verb.RESTART_HOST},
        {"before": Incarnation("1", "t9", "b")},
        {"attempt": 2},
        {"incident": "inc-other"},
        {"reason": "for another reason"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_digest_names_exactly_what_is_to_be_done(changes: dict[str, object]) -> None:
    action = awaiting_approval().state.actions[-1]
    assert digest_of(action) != digest_of(msgspec.structs.replace(action, **changes))


def test_the_digest_holds_whenever_the_approval_comes() -> None:
    action = awaiting_approval().state.actions[-1]
    assert digest_of(action) == digest_of(msgspec.structs.replace(action, fence_token=9, not_after=5.0))


def test_an_approved_plan_gets_its_time_from_the_approval_on() -> None:
    stage = awaiting_approval().tick(100)
    silent(approve(stage))
    plan = plan_of(stage.state.actions[-1])
    assert plan.not_after == stage.clock.now().boot + 2 * stage.settings.execute_seconds


@pytest.mark.parametrize("what", ["recovered", "paused", "gone", "changed", "lease"])
def test_an_approval_that_comes_when_the_world_has_changed_is_void(what: str) -> None:
    stage = awaiting_approval()
    match what:
        case "recovered":
            stage.rule.verdict = Verdict.OK
            stage.evaluate()
        case "paused":
            stage.command("pause", reason="deploy", seconds=600.0)
        case "gone":
            stage.kill_engine().look()
        case "changed":
            stage.restart_engine()
            stage.look()
        case "lease":
            stage.lease_held = False
            stage.evaluate()
    approve(stage)
    assert charged(stage) == (ActionState.CANCELLED, False)
    assert stage.adapter.sends.total() == 0


def test_a_denial_is_final_for_this_action() -> None:
    stage = awaiting_approval()
    op_id = stage.state.actions[-1].op_id
    stage.send(Denied(op_id, "ben", "not at noon"))
    assert charged(stage) == (ActionState.CANCELLED, False)
    assert "denied by ben: not at noon" in stage.state.actions[-1].because
    approve(stage)
    assert charged(stage) == (ActionState.CANCELLED, False)


def test_a_person_who_never_answers_is_waited_for_no_longer_than_said() -> None:
    stage = awaiting_approval()
    stage.tick(1, seconds=APPROVAL_SECONDS + 1)
    assert charged(stage) == (ActionState.CANCELLED, False)


# ── the fleet is asked ──────────────────────────────────────────────────────────────────────────


def test_the_budget_is_charged_before_the_fleet_is_asked_and_nothing_is_intended_before_it_agrees() -> None:
    stage = reserving()
    assert charged(stage) == (ActionState.RESERVING, True)
    assert stage.kinds("action.intent") == []
    assert not stage.holding


def test_a_fleet_that_refuses_costs_nothing_and_is_given_its_place_back() -> None:
    stage = Stage(participants=Participants(fleet=True))
    stage.fleet_agrees = False
    stage.acting()
    action = stage.state.actions[-1]
    assert charged(stage) == (ActionState.CANCELLED, False)
    assert stage.settled == {action.op_id: False}
    assert stage.adapter.sends.total() == 0


def test_silence_of_the_fleet_is_a_no() -> None:
    stage = reserving().tick(12)
    assert charged(stage) == (ActionState.CANCELLED, False)
    assert stage.settled == {stage.state.actions[-1].op_id: False}


def test_an_agreement_that_comes_too_late_starts_nothing() -> None:
    stage = reserving().tick(12)
    stage.send(Reserved(stage.state.actions[-1].op_id, True))
    assert stage.kinds("action.intent") == []


def test_an_agreement_under_a_lease_that_is_lost_starts_nothing() -> None:
    stage = reserving()
    stage.lease_held = False
    stage.evaluate()
    stage.send(Reserved(stage.state.actions[-1].op_id, True))
    assert charged(stage) == (ActionState.CANCELLED, False)


def test_what_makes_up_for_a_rollback_is_not_called_off_because_its_rule_is_quiet_meanwhile() -> None:
    stage = compensating(Participants(fleet=True))
    rollback, restart = stage.state.actions
    assert (restart.compensates, restart.state) == (rollback.op_id, ActionState.RESERVING)
    stage.command("pause", reason="deploy", seconds=600.0)
    stage.well().evaluate()
    stage.adapter.answers = True
    stage.send(Reserved(restart.op_id, True))
    assert stage.adapter.plans[-1].op_id == restart.op_id


# ── evidence is saved ───────────────────────────────────────────────────────────────────────────


def test_evidence_is_saved_while_the_traffic_is_held_and_before_anything_is_sent() -> None:
    stage = collecting()
    assert stage.holding
    assert stage.adapter.sends.total() == 0


def test_a_collector_that_hangs_delays_the_cure_and_never_prevents_it() -> None:
    stage = collecting().tick(17)
    assert stage.adapter.sends.total() == 1
    assert stage.state.actions[-1].bundle == ""


def test_evidence_that_comes_after_the_sending_changes_nothing() -> None:
    stage = collecting().tick(17)
    stage.send(EvidenceCollected(stage.state.actions[-1].op_id, "late"))
    assert stage.adapter.sends.total() == 1


# ── a crash at every state ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "at", [Reserve, HoldTraffic, Collect, Dispatch, ReleaseTraffic, Settle], ids=lambda at: at.__name__
)
def test_killed_before_any_effect_the_engine_feels_one_op_at_most_once(at: type) -> None:
    stage = Stage(limits(mode=Mode.APPROVE), participants=EVERYBODY)
    stage.die_before = at
    approve(stage.acting()).tick(40)
    assert stage.died == 1
    assert max(stage.adapter.executions.values(), default=0) <= 1
    assert max(stage.adapter.sends.values(), default=0) <= 1
    first = stage.state.actions[0]
    assert first.over or first.state is ActionState.VERIFYING
    assert not stage.holding


@pytest.mark.parametrize("name", [name for name in SCENES if name.startswith("action-")])
def test_restarted_in_any_state_nothing_is_sent_again_and_everything_ends(name: str) -> None:
    stage = SCENES[name]()
    sent, op_id = stage.adapter.sends.total(), stage.state.actions[-1].op_id
    silent(stage).well()
    stage.crash()
    stage.tick(200)
    assert stage.adapter.sends.total() == sent
    assert next(action for action in stage.state.actions if action.op_id == op_id).over
    assert not stage.holding


@pytest.mark.parametrize("scene", [awaiting_approval, reserving], ids=lambda scene: scene.__name__)
def test_before_the_intent_a_restart_forgets_the_action_and_its_cost(scene: object) -> None:
    stage: Stage = scene()  # type: ignore[operator]
    asked = stage.state.actions[-1].fleet_asked
    stage.crash()
    action = stage.state.actions[-1]
    assert charged(stage) == (ActionState.CANCELLED, False)
    assert "before anything was intended" in action.because
    assert stage.settled == ({action.op_id: False} if asked else {})
