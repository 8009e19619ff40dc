"""Every transition of an incident (remediation safety, §3), and what people hear of it."""

from __future__ import annotations

import pytest

from tests.remediation.stage import Rule, Stage, limits
from watchtower.vocabulary.actions import Cure, Mode
from watchtower.vocabulary.incidents import IncidentState, NoticeKind
from watchtower.vocabulary.readings import Severity, Verdict


def mild() -> Rule:
    return Rule("gpu_imbalance", Cure.NOTHING, Severity.WARN, "gpu_utilization.spread")


def observing(**more: object) -> Stage:
    return Stage(limits(mode=Mode.OBSERVE, **more))


# ── CLEAR and SUSPECT ───────────────────────────────────────────────────────────────────────────


def test_a_breach_makes_suspicious_and_wakes_nobody() -> None:
    stage = Stage().quiet()
    stage.rule.firing = False
    stage.breach().tick()
    assert stage.phase() is IncidentState.SUSPECT
    assert stage.notices == []


def test_unknown_makes_nobody_suspicious() -> None:
    stage = Stage().quiet()
    stage.rule.verdict = Verdict.UNKNOWN
    stage.tick(50)
    assert stage.newest is None


def test_suspicion_that_passes_leaves_no_incident_behind() -> None:
    stage = Stage().quiet().breach().tick()
    stage.well().tick(22)
    assert stage.newest is None
    assert stage.notices == []
    assert stage.kinds("incident.") == ["incident.suspect", "incident.clear"]


def test_suspicion_ends_when_nothing_can_be_read_for_two_windows() -> None:
    stage = Stage()
    stage.rule.over = 5.0
    stage.quiet().breach().tick()
    stage.rule.verdict = Verdict.UNKNOWN
    stage.tick(12)
    assert stage.newest is None
    assert "evidence_expired" in str(stage.records[-1].body["why"])


def test_suspicion_that_is_never_confirmed_does_not_last_for_ever() -> None:
    stage = Stage(limits(hold_deadline_seconds=30)).quiet()
    stage.rule.firing = False
    stage.breach().tick(33)
    assert "incident.clear" in stage.kinds()


def test_a_restarted_engine_ends_a_suspicion() -> None:
    stage = Stage().quiet().breach().tick()
    stage.restart_engine()
    stage.well().tick()
    assert stage.newest is None


# ── OPEN ────────────────────────────────────────────────────────────────────────────────────────


def test_an_incident_opens_when_a_rule_fired_in_enough_evaluations_in_a_row() -> None:
    stage = observing(dwell_evaluations=3).quiet().breach().tick(2)
    assert stage.phase() is IncidentState.SUSPECT
    stage.well().tick().breach().tick(2)
    assert stage.phase() is IncidentState.SUSPECT, "a row that was broken starts again"
    stage.tick()
    assert "incident.open" in stage.kinds()
    assert stage.phase() is IncidentState.HELD


def test_evidence_of_two_incarnations_does_not_open_an_incident() -> None:
    stage = observing(dwell_evaluations=3).quiet().breach().tick(2)
    stage.restart_engine()
    stage.tick(2)
    assert "incident.open" not in stage.kinds()


def test_the_opening_notice_says_what_and_since_when_and_names_the_next_command() -> None:
    stage = observing().quiet().breach()
    stage.rule.sentence = "p95 per-token latency 0.31 s over 0.13 s"
    stage.tick(2)
    (notice,) = stage.notices_of(NoticeKind.OPENED)
    assert notice.text == "p95 per-token latency 0.31 s over 0.13 s since 00:00:13 UTC."
    assert notice.title == "engine opened: p95 per-token latency 0.31 s over 0.13 s since 00:00:13 UTC"
    assert notice.next_command == f"watchtower explain {stage.incident.id}"
    assert notice.incident.startswith("inc-")
    assert len(notice.incident) == 10
    assert "." not in notice.id


def test_another_rule_joins_as_a_symptom_without_a_second_page() -> None:
    stage = Stage(limits(mode=Mode.OBSERVE), rules=[Rule(), Rule("hang")]).quiet()
    stage.breach("slow_tokens").tick(4).breach("hang").tick(4)
    assert stage.incident.rules == ("slow_tokens", "hang")
    assert len(stage.notices_of(NoticeKind.OPENED)) == 1


def test_people_are_told_again_when_a_mild_incident_becomes_one_that_wakes_them() -> None:
    stage = Stage(limits(mode=Mode.OBSERVE), rules=[mild(), Rule("hang")]).quiet()
    stage.breach("gpu_imbalance").tick(4).breach("hang").tick(4)
    assert [notice.severity for notice in stage.notices_of(NoticeKind.OPENED)] == ["warn", "page"]
    assert stage.incident.severity == "page"


# ── rules that only alert, and hints ────────────────────────────────────────────────────────────


def test_a_rule_that_only_alerts_is_held_quietly_and_resolved() -> None:
    stage = Stage(rules=[mild()]).quiet().breach().tick(200)
    assert stage.phase() is IncidentState.HELD
    assert stage.held_by == {"no_cure"}
    (opened,) = stage.notices
    assert "Watchtower will do nothing: the rule only alerts." in opened.text
    stage.well()
    stage.until(IncidentState.RESOLVED)
    assert [notice.kind for notice in stage.notices] == [NoticeKind.OPENED, NoticeKind.RESOLVED]
    assert stage.effects == 0


def test_a_mild_rule_that_breaches_but_does_not_fire_is_nothing() -> None:
    stage = Stage(rules=[mild()]).quiet()
    stage.rule.firing = False
    stage.breach().tick(5)
    assert stage.newest is None


def test_a_hint_sends_a_canary_and_is_never_an_incident() -> None:
    stage = Stage(rules=[Rule("creep", Cure.CANARY_NOW, Severity.INFO)]).quiet().breach().tick(3)
    assert stage.newest is None
    assert len(stage.canaries) == 3


def test_a_hint_of_page_severity_is_still_no_incident() -> None:
    stage = Stage(rules=[Rule("creep", Cure.CANARY_NOW, Severity.PAGE)]).quiet().breach().tick(3)
    assert stage.newest is None


# ── HELD ────────────────────────────────────────────────────────────────────────────────────────


def test_a_hold_is_recorded_when_its_reasons_change_and_not_at_every_evaluation() -> None:
    stage = Stage(limits(single_replica="refuse")).quiet().breach().tick(10)
    assert stage.kinds("incident.held") == ["incident.held"]
    stage.lease_held = False
    stage.tick(5)
    assert stage.kinds("incident.held") == ["incident.held"] * 2
    assert [gate["gate"] for gate in stage.records[-1].body["gates"]] == ["single_replica", "lease"]


def test_people_hear_once_why_nothing_is_done() -> None:
    stage = Stage(limits(single_replica="refuse")).quiet().breach().tick(40)
    (notice,) = stage.notices_of(NoticeKind.HELD)
    assert "the only replica" in notice.text


def test_people_are_not_told_of_a_hold_that_passes_by_itself() -> None:
    stage = Stage(limits(startup_grace_seconds=30)).start().breach().tick(25)
    assert stage.held_by == {"startup_grace"}
    assert stage.notices_of(NoticeKind.HELD) == []
    stage.tick(8)
    assert stage.effects == 1


def test_approval_is_asked_for() -> None:
    stage = Stage(limits(mode=Mode.APPROVE)).quiet().breach().tick(6)
    (notice,) = stage.notices_of(NoticeKind.HELD)
    assert "Approval wanted" in notice.text
    assert stage.effects == 0


def test_a_hold_past_its_deadline_calls_a_person() -> None:
    stage = Stage(limits(single_replica="refuse")).quiet().breach().tick(125)
    assert stage.phase() is IncidentState.ESCALATED
    (notice,) = stage.notices_of(NoticeKind.ESCALATED)
    assert notice.severity == "page"
    assert "held for 120 s" in notice.text


@pytest.mark.parametrize("reason", ["observe", "paused"])
def test_a_hold_that_somebody_chose_only_reminds_once(reason: str) -> None:
    stage = observing() if reason == "observe" else Stage()
    stage.quiet()
    if reason == "paused":
        stage.command("pause", reason="deploy", seconds=10_000.0)
    stage.breach().tick(300)
    assert stage.phase() is IncidentState.HELD
    assert stage.kinds("incident.reminded") == ["incident.reminded"]


def test_an_observing_target_that_falls_silent_is_not_escalated() -> None:
    stage = observing().quiet().breach().tick(5)
    stage.rule.verdict = Verdict.UNKNOWN
    stage.tick(300)
    assert stage.phase() is IncidentState.HELD
    assert stage.held_by == {"data_unknown", "observe"}


def test_a_rollback_without_a_blessed_checkpoint_is_refused_in_words() -> None:
    stage = Stage(rules=[Rule("meaning_drift", Cure.ROLLBACK)]).quiet().breach().tick(2)
    assert "no checkpoint is blessed" in " ".join(refusal.because for refusal in stage.incident.held)
    assert stage.effects == 0


def test_a_refused_rollback_does_not_stand_in_the_way_of_a_restart() -> None:
    stage = Stage(rules=[Rule("meaning_drift", Cure.ROLLBACK), Rule()]).quiet().breach().tick(2)
    assert stage.state.actions[-1].rule == "slow_tokens"


# ── dry run ─────────────────────────────────────────────────────────────────────────────────────


def test_a_dry_run_says_once_what_it_would_do_and_touches_nothing() -> None:
    stage = observing().quiet().breach().tick(100)
    assert stage.kinds("action.") == ["action.would_act"]
    assert len(stage.notices_of(NoticeKind.WOULD_ACT)) == 1
    assert stage.notices_of(NoticeKind.HELD) == []
    assert stage.held_by == {"observe"}
    assert not any(
        type(effect).__name__ in {"HoldTraffic", "Dispatch", "RaiseFence", "AskStatus"} for effect in stage.log
    )


def test_a_dry_run_held_by_another_gate_too_does_not_claim_that_it_would_act() -> None:
    stage = observing(single_replica="refuse").quiet().breach().tick(10)
    assert "action.would_act" not in stage.kinds()
    assert stage.held_by == {"observe", "single_replica"}


# ── recovery, recurrence, flapping ──────────────────────────────────────────────────────────────


def test_what_recovers_by_itself_is_watched_and_then_resolved() -> None:
    stage = observing().quiet().breach().tick(5).well().tick(19)
    assert stage.phase() is IncidentState.HELD
    stage.tick(3)
    assert stage.phase() is IncidentState.RECOVERING
    stage.until(IncidentState.RESOLVED)
    assert stage.state.incident is None
    assert stage.state.recent[0].closed_wall is not None


def test_unknown_does_not_count_as_recovery() -> None:
    stage = observing().quiet().breach().tick(5)
    for _ in range(10):
        stage.well().tick(15)
        stage.rule.verdict = Verdict.UNKNOWN
        stage.tick()
    assert stage.phase() is IncidentState.HELD


def test_what_comes_back_while_watched_is_the_same_incident() -> None:
    stage = observing().quiet().breach().tick(5).well()
    first = stage.until(IncidentState.RECOVERING).id
    stage.breach().tick(3)
    assert stage.incident.id == first
    assert stage.incident.recurrences == 1
    assert stage.phase() is IncidentState.HELD


def test_what_comes_back_soon_after_it_was_resolved_is_the_same_incident() -> None:
    stage = observing().quiet().breach().tick(5).well()
    first = stage.until(IncidentState.RESOLVED).id
    stage.breach().tick(3)
    assert (stage.incident.id, stage.incident.recurrences) == (first, 1)
    assert stage.incident.closed_at is None
    assert [incident.id for incident in stage.state.recent] == []
    assert "It is back" in stage.notices_of(NoticeKind.OPENED)[-1].text


def test_a_suspicion_soon_after_does_not_reopen_what_was_resolved() -> None:
    stage = observing().quiet().breach().tick(5).well()
    stage.until(IncidentState.RESOLVED)
    stage.breach().tick().well().tick(22)
    assert stage.state.incident is None
    assert stage.state.recent[0].state is IncidentState.RESOLVED
    assert stage.state.recent[0].recurrences == 0


def test_what_comes_back_much_later_is_another_incident() -> None:
    stage = observing(recurrence_seconds=50).quiet().breach().tick(5).well()
    first = stage.until(IncidentState.RESOLVED).id
    stage.tick(60).breach().tick(3)
    assert stage.incident.id != first
    assert stage.incident.recurrences == 0


def test_trouble_that_comes_and_goes_is_escalated_and_stays_so() -> None:
    stage = observing(flap_cycles=3).quiet()
    for _ in range(4):
        stage.breach().tick(5).well().tick(25)
    assert stage.phase() is IncidentState.ESCALATED
    stage.tick(500)
    assert stage.phase() is IncidentState.ESCALATED
    assert stage.kinds("incident.note") == ["incident.note"]
    assert len(stage.notices_of(NoticeKind.ESCALATED)) == 1


def test_a_mild_rule_that_goes_on_firing_keeps_the_incident_but_is_no_recurrence() -> None:
    stage = Stage(limits(mode=Mode.OBSERVE), rules=[Rule(), mild()]).quiet().breach().tick(5).well().tick(30)
    assert stage.phase() is IncidentState.RECOVERING
    stage.breach("gpu_imbalance").tick(80)
    assert stage.phase() is IncidentState.HELD
    assert stage.incident.recurrences == 0
    stage.well()
    stage.until(IncidentState.RESOLVED)


# ── an engine that restarts, or leaves, by itself ───────────────────────────────────────────────


def test_a_restart_that_was_not_ours_drops_the_evidence_and_starts_a_cooldown() -> None:
    stage = Stage(limits(single_replica="refuse")).quiet().breach().tick(5)
    stage.restart_engine()
    stage.tick()
    assert stage.phase() is IncidentState.RECOVERING
    assert stage.state.cooldown_from is not None
    (notice,) = stage.notices_of(NoticeKind.RECOVERING)
    assert "not by Watchtower" in notice.text


def test_after_a_foreign_restart_unknown_alone_does_not_resolve() -> None:
    stage = observing().quiet().breach().tick(5)
    stage.restart_engine()
    stage.rule.verdict = Verdict.UNKNOWN
    stage.tick(100)
    assert stage.phase() is IncidentState.RECOVERING
    stage.tick(100)
    assert stage.phase() is IncidentState.ESCALATED


def test_an_engine_that_dies_while_watched_is_a_recurrence() -> None:
    stage = observing().quiet().breach().tick(5).well()
    stage.until(IncidentState.RECOVERING)
    stage.running = False
    stage.rule.verdict = Verdict.UNKNOWN
    stage.tick(3)
    assert stage.incident.recurrences == 1
    assert stage.phase() is IncidentState.HELD
    assert "engine.gone" in stage.kinds()


def test_an_engine_that_keeps_restarting_while_watched_is_escalated() -> None:
    stage = observing(flap_cycles=3).quiet().breach().tick(5).well()
    stage.until(IncidentState.RECOVERING)
    for _ in range(3):
        stage.restart_engine()
        stage.tick(5)
    assert stage.phase() is IncidentState.ESCALATED


def test_escalated_is_latched_whatever_the_engine_does() -> None:
    stage = Stage(limits(single_replica="refuse")).quiet().breach().tick(130)
    stage.restart_engine()
    stage.well().tick(500)
    assert stage.phase() is IncidentState.ESCALATED
