"""An engine that dies by itself: told at once, started again within the budget, and proven like any other cure."""

from __future__ import annotations

import msgspec
import pytest

from tests.remediation.stage import CLASS_A, Rule, Stage, limits
from watchtower.remediation.interface import Drained, HoldTraffic
from watchtower.remediation.proposal import ABSENT
from watchtower.settings import RemediationSettings
from watchtower.vocabulary.actions import ActionState, Capabilities, Cure, Mode
from watchtower.vocabulary.incidents import IncidentState, NoticeKind
from watchtower.vocabulary.readings import Severity, Verdict

CRASH_LOOP = limits(attempts_per_rung=3, attempts_per_incident=3, hold_deadline_seconds=600)


def gone() -> Rule:
    return Rule("engine_gone", reading=ABSENT, sentence="the engine is gone (exit status 137)")


def dead(settings: RemediationSettings | None = None, capabilities: Capabilities = CLASS_A) -> Stage:
    """It ran, it was well, and now nothing runs."""
    return Stage(settings or limits(), capabilities, rules=[gone()]).quiet().kill_engine()


def test_a_dead_engine_is_replaced_verified_and_resolved() -> None:
    stage = dead()
    before = stage.incarnation
    stage.until(IncidentState.RESOLVED)
    (plan,) = stage.adapter.plans
    assert plan.expected_incarnation == before, "the keeper replaces the dead under its own name"
    (action,) = stage.state.actions
    assert action.state is ActionState.EFFECTIVE
    assert action.after == stage.incarnation != before
    assert [str(notice.kind) for notice in stage.notices] == ["opened", "acting", "result", "resolved"]


def test_people_are_paged_with_how_it_ended_and_since_when_it_was_gone() -> None:
    stage = dead(limits(mode=Mode.OBSERVE)).tick(2)
    (notice,) = stage.notices_of(NoticeKind.OPENED)
    began = stage.clock.now().later(-7.0).iso()[11:19]  # the rule fires later than it began
    assert notice.text == f"the engine is gone (exit status 137) since {began} UTC."
    assert notice.severity == "page"


def test_new_requests_wait_but_nothing_is_drained() -> None:
    stage = dead().tick(2)
    assert [effect.drain for effect in stage.log if isinstance(effect, HoldTraffic)] == [False]
    (notice,) = stage.notices_of(NoticeKind.ACTING)
    assert "in place of" in notice.text


def test_the_only_replica_may_be_replaced_when_it_is_dead() -> None:
    assert dead(limits(single_replica="refuse")).tick(2).effects == 1


@pytest.mark.parametrize(
    ("settings", "gate"),
    [
        (limits(mode=Mode.OBSERVE), "observe"),
        (limits(startup_grace_seconds=900), "startup_grace"),
        (limits(restarts_per_day=0), "budget"),
    ],
)
def test_every_other_gate_holds_for_the_dead_as_well(settings: RemediationSettings, gate: str) -> None:
    stage = dead(settings).tick(4)
    assert (stage.phase(), stage.held_by, stage.effects) == (IncidentState.HELD, {gate}, 0)


def test_without_anybody_who_could_start_it_people_are_told_so() -> None:
    stage = dead(capabilities=Capabilities()).tick(5)
    assert (stage.phase(), stage.held_by) == (IncidentState.HELD, {"no_cure"})
    assert [str(notice.kind) for notice in stage.notices] == ["opened", "held"]
    assert {notice.severity for notice in stage.notices} == {"page"}


def test_a_rule_that_does_not_judge_it_never_replaces_the_dead() -> None:
    stage = Stage(rules=[Rule("slow_tokens")]).quiet().breach().kill_engine().tick(5)
    assert (stage.effects, stage.held_by) == (0, {"incarnation"})
    assert "slow_tokens does not judge that" in stage.incident.why


def test_an_engine_that_runs_is_not_replaced_on_the_word_of_an_older_reading() -> None:
    stage = dead()
    stage.running = True
    stage.tick(5)
    assert stage.effects == 0
    assert "runs, although the readings say that none does" in stage.incident.why


def test_an_engine_that_was_never_seen_is_not_replaced() -> None:
    stage = Stage(rules=[gone()])
    stage.names_the_dead = False
    stage.kill_engine().start().tick(15)
    assert (stage.effects, stage.held_by) == (0, {"incarnation"})


def test_one_that_died_before_watchtower_came_is_replaced_when_the_adapter_names_it() -> None:
    stage = Stage(rules=[gone()]).kill_engine().start().tick(15)
    assert stage.effects == 1
    stage.until(IncidentState.RESOLVED)


def test_one_that_somebody_started_and_that_died_unseen_is_replaced_under_its_own_name() -> None:
    stage = dead()
    stage.generation += 1
    stage.tick(2)
    (plan,) = stage.adapter.plans
    assert plan.expected_incarnation == stage.named(2)


def test_an_adapter_that_cannot_tell_replaces_nothing() -> None:
    stage = dead().tick()
    stage.known = False
    assert stage.tick(5).effects == 0


# ── between intent and proof ────────────────────────────────────────────────────────────────────


def test_an_engine_that_dies_while_a_cure_for_it_is_prepared_is_left_to_the_rule_for_the_dead() -> None:
    stage = Stage(rules=[Rule("slow_tokens"), gone()])
    stage.adapter.answers = False
    stage.quiet().breach("slow_tokens").tick(2)
    assert stage.outcome() is ActionState.HOLDING
    stage.adapter.answers = True
    stage.rules[0].verdict = Verdict.UNKNOWN
    stage.kill_engine().tick()
    assert stage.outcome() is ActionState.CANCELLED
    stage.until(IncidentState.RECOVERING)
    assert [str(action.state) for action in stage.state.actions] == ["cancelled", "effective"]
    assert stage.effects == 1


def test_a_plan_for_a_dead_engine_outlasts_the_looks_that_find_it_dead() -> None:
    stage = dead()
    stage.adapter.answers = False
    stage.tick(4)
    assert [action.state for action in stage.state.actions] == [ActionState.HOLDING]
    stage.adapter.answers = True
    stage.send(Drained(stage.state.actions[-1].op_id, 0))
    assert stage.effects == 1


@pytest.mark.parametrize("same", [True, False])
def test_one_that_turns_out_to_run_before_the_plan_is_sent_is_left_alone(same: bool) -> None:
    """The same after all, or another that somebody else has started."""
    stage = dead()
    stage.adapter.answers = False
    stage.tick(2)
    assert stage.outcome() is ActionState.HOLDING
    stage.running = True
    stage.generation += not same
    stage.rule.verdict = Verdict.OK
    stage.look()
    stage.send(Drained(stage.state.actions[-1].op_id, 0))
    assert stage.outcome() is ActionState.CANCELLED
    assert stage.adapter.plans == []
    assert same or stage.phase() is IncidentState.RECOVERING


def test_a_look_between_the_old_and_the_new_engine_decides_nothing() -> None:
    stage = dead()
    stage.adapter.carries_out = False
    stage.tick(2)
    assert stage.outcome() is ActionState.ACKED
    stage.tick(5)
    assert stage.outcome() is ActionState.ACKED
    stage.restart_engine()
    stage.well().until(IncidentState.RECOVERING)
    assert stage.outcome() is ActionState.EFFECTIVE


def test_it_is_known_at_once_when_the_new_engine_died_before_anybody_saw_it() -> None:
    stage = dead()
    stage.stillborn = True
    stage.tick(3)
    assert stage.outcome() is ActionState.INEFFECTIVE
    assert "t2 is gone: exit status 137" in stage.state.actions[-1].because
    stage.stillborn = False
    stage.until(IncidentState.RESOLVED)
    _, second = stage.adapter.plans
    assert second.expected_incarnation == stage.named(2), "the next plan names the one that died last"


def test_an_effect_is_believed_when_a_new_engine_was_started_although_it_is_dead_already() -> None:
    stage = dead()
    stage.adapter.answers = False
    stage.tick(2)
    stage.send(Drained(stage.state.actions[-1].op_id, 0))
    assert stage.outcome() is ActionState.DISPATCHED
    stage.generation, stage.running = stage.generation + 1, False
    stage.tick()
    assert "action.acked" in stage.kinds()


# ── crash loops ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("lives", [0, 5, 25, 100])
def test_a_crash_loop_ends_with_a_person_after_the_last_attempt(lives: int) -> None:
    """However long each engine lives: never seen, dead in verification, in the soak, or after everything was well."""
    stage = dead(CRASH_LOOP)
    stage.stillborn = lives == 0
    lived = 0
    for _ in range(900):
        lived = lived + 1 if stage.running else 0
        if lived > lives:
            stage.kill_engine()
        stage.tick()
    assert stage.phase() is IncidentState.ESCALATED
    assert stage.effects == CRASH_LOOP.attempts_per_incident
    assert {action.incident for action in stage.state.actions} == {stage.incident.id}
    assert len(stage.notices_of(NoticeKind.ESCALATED)) == 1


def test_the_next_attempt_waits_for_the_cooldown() -> None:
    stage = dead(limits(cooldown_seconds=50))
    stage.stillborn = True
    stage.tick(20)
    assert stage.effects == 1
    assert stage.held_by == {"cooldown"}
    assert stage.tick(60).effects == 2


def test_an_open_breaker_keeps_a_dead_engine_dead() -> None:
    stage = dead(limits(breaker_failures=1, attempts_per_rung=9, attempts_per_incident=9))
    stage.stillborn = True
    stage.tick(300)
    assert stage.effects == 1
    assert stage.state.breaker.because
    assert stage.phase() is IncidentState.ESCALATED, "a person is called when the hold has lasted too long"


# ── company ─────────────────────────────────────────────────────────────────────────────────────


def test_after_an_alert_that_nothing_will_be_done_the_rule_that_acts_is_news() -> None:
    fails = Rule("answers_fail", Cure.NOTHING, Severity.PAGE, sentence="100 % of the answers failed")
    stage = Stage(rules=[fails, gone()]).quiet().breach("answers_fail").tick(3)
    assert "Watchtower will do nothing" in stage.notices_of(NoticeKind.OPENED)[0].text
    stage.kill_engine().tick(3)
    assert stage.notices_of(NoticeKind.OPENED)[1].text.startswith("the engine is gone (exit status 137)")
    assert stage.incident.title == "the engine is gone (exit status 137)"
    assert stage.effects == 1


def test_an_action_remembered_by_an_earlier_version_was_on_a_living_engine() -> None:
    action = Stage().acting().state.actions[-1]
    old = {name: value for name, value in msgspec.to_builtins(action).items() if name != "dead"}
    assert msgspec.convert(old, type(action)).dead is False
