"""EFFECTIVE is proven three times over, or it is not said."""

from __future__ import annotations

import pytest

from tests.remediation.stage import Rule, Stage, limits
from watchtower.vocabulary.actions import ActionState
from watchtower.vocabulary.incidents import IncidentState, NoticeKind
from watchtower.vocabulary.readings import Verdict


def verifying(stage: Stage | None = None) -> Stage:
    stage = (stage or Stage()).acting().tick()
    assert stage.phase() is IncidentState.VERIFYING
    return stage


def test_the_proof_is_three_sentences_with_values() -> None:
    stage = verifying()
    stage.until(IncidentState.RECOVERING)
    assert stage.state.actions[-1].verified_by == (
        "the incarnation changed from 4711@t1 to 4711@t2",
        "4711@t2 served a canary in 0.25 s",
        "slow_tokens is back inside its limit: 40 ms against 130 ms",
    )
    assert "worked" in stage.notices_of(NoticeKind.RESULT)[0].text


def test_no_verdict_before_the_stabilization_time() -> None:
    stage = verifying().tick(9)
    assert stage.outcome() is ActionState.VERIFYING
    stage.tick(2)
    assert stage.outcome() is ActionState.EFFECTIVE


def test_readings_that_reach_back_before_the_new_incarnation_prove_nothing() -> None:
    stage = Stage()
    stage.rule.over = 30.0
    stage.masks = False
    stage.acting().tick(29)
    assert stage.outcome() is ActionState.VERIFYING
    stage.tick(4)
    assert stage.outcome() is ActionState.EFFECTIVE


def test_a_masked_window_counts_from_where_it_is_clean() -> None:
    stage = Stage()
    stage.rule.over = 30.0
    stage.acting().tick(13)
    assert stage.outcome() is ActionState.EFFECTIVE


def test_every_symptom_must_be_well_again() -> None:
    stage = verifying(Stage(rules=[Rule("a"), Rule("b")]))
    stage.rules[1].verdict = Verdict.UNKNOWN
    stage.tick(30)
    assert stage.outcome() is ActionState.VERIFYING
    stage.well().tick(1)
    assert stage.outcome() is ActionState.EFFECTIVE


def test_unknown_until_the_deadline_is_inconclusive_and_counts_as_failed() -> None:
    stage = verifying()
    stage.rule.verdict = Verdict.UNKNOWN
    stage.tick(62)
    assert stage.outcome() is ActionState.INCONCLUSIVE
    assert stage.phase() is IncidentState.HELD
    assert stage.state.actions[-1].charged


def test_a_breach_that_stays_is_ineffective_after_enough_evaluations() -> None:
    stage = verifying(Stage(cures=False)).tick(9)
    assert stage.outcome() is ActionState.VERIFYING
    stage.tick(3)
    assert stage.outcome() is ActionState.INEFFECTIVE
    assert stage.phase() is IncidentState.HELD


def test_one_breach_among_well_readings_is_not_a_verdict() -> None:
    stage = verifying().tick(8).breach()
    stage.tick(2)
    stage.well().tick(1)
    assert stage.outcome() is ActionState.EFFECTIVE


def test_a_breach_at_the_deadline_is_ineffective_not_inconclusive() -> None:
    stage = verifying(Stage(limits(verify_seconds=10, stabilization_seconds=10, dwell_evaluations=2)))
    stage.breach().tick(12)
    assert stage.outcome() is ActionState.INEFFECTIVE


def test_the_new_incarnation_that_goes_away_was_no_cure() -> None:
    stage = verifying()
    stage.running = False
    stage.tick()
    assert stage.outcome() is ActionState.INEFFECTIVE
    assert stage.phase() is IncidentState.HELD


def test_a_foreign_restart_in_mid_verification_leaves_no_verdict() -> None:
    stage = verifying()
    stage.restart_engine()
    stage.tick()
    assert stage.outcome() is ActionState.INCONCLUSIVE
    assert stage.phase() is IncidentState.RECOVERING


def test_nothing_is_proven_while_the_engine_cannot_be_identified() -> None:
    stage = verifying()
    stage.known = False
    stage.tick(20)
    assert stage.outcome() is ActionState.VERIFYING


def test_attempts_are_not_forgotten_because_one_worked() -> None:
    stage = Stage(limits(cooldown_seconds=1, cooldown_cap_seconds=1, attempts_per_rung=1))
    stage.acting()
    stage.until(IncidentState.RESOLVED)
    stage.breach().tick(4)
    assert [str(plan.verb) for plan in stage.adapter.plans] == ["restart_group", "restart_host"]
    stage.until(IncidentState.RESOLVED)
    stage.breach().tick(4)
    assert stage.phase() is IncidentState.ESCALATED
    assert stage.effects == 2


def test_what_serves_and_then_breaks_in_the_soak_is_a_recurrence() -> None:
    stage = verifying()
    stage.until(IncidentState.RECOVERING)
    stage.breach().tick(3)
    assert stage.incident.recurrences == 1
    assert stage.phase() is IncidentState.HELD
    assert stage.held_by == {"cooldown"}


def test_a_moment_of_breach_in_the_soak_only_puts_the_end_off() -> None:
    stage = verifying()
    stage.until(IncidentState.RECOVERING)
    stage.tick(58)
    stage.rule.firing = False
    stage.breach().tick(5)
    assert stage.phase() is IncidentState.RECOVERING
    stage.well().tick(1)
    assert stage.phase() is IncidentState.RESOLVED


def test_an_idle_night_after_a_proven_cure_is_resolved() -> None:
    stage = verifying()
    stage.until(IncidentState.RECOVERING)
    stage.rule.verdict = Verdict.UNKNOWN
    stage.tick(62)
    assert stage.phase() is IncidentState.RESOLVED


@pytest.mark.parametrize("rule", ["slow_tokens", "another"])
def test_a_soak_that_never_settles_calls_a_person(rule: str) -> None:
    stage = verifying(Stage(rules=[Rule(rule)]))
    stage.until(IncidentState.RECOVERING)
    stage.rule.firing = False
    stage.breach().tick(185)
    assert stage.phase() is IncidentState.ESCALATED
