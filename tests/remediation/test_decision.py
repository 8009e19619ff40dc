"""Starting, losing the disk, going blind: what no single incident is about."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.remediation.stage import Rule, Stage, limits
from watchtower.remediation.decision import decide
from watchtower.remediation.interface import Dispatch, HoldTraffic, StorageFailed
from watchtower.vocabulary.actions import Cure, Mode
from watchtower.vocabulary.incidents import IncidentState, NoticeKind
from watchtower.vocabulary.readings import Severity, Verdict
from watchtower.vocabulary.reasons import Reason, ReasonKind


def test_the_same_state_event_and_instant_give_the_same_answer() -> None:
    stage = Stage().quiet().breach().tick()
    event, now = StorageFailed("disk full"), stage.clock.now()
    first = decide(stage.state, event, now, stage.settings, stage.capabilities)
    assert first == decide(stage.state, event, now, stage.settings, stage.capabilities)


def test_a_restart_every_half_minute_under_a_permanent_breach_acts_never_and_calls_once() -> None:
    stage = Stage(limits(startup_grace_seconds=300, hold_deadline_seconds=1800)).start().breach()
    for _ in range(120):
        stage.tick(10, seconds=3.0)
        stage.crash()
    assert stage.effects == 0
    assert len(stage.notices_of(NoticeKind.ESCALATED)) == 1


def test_a_machine_that_was_never_started_does_not_act() -> None:
    stage = Stage().breach()
    stage.tick(30)
    assert stage.effects == 0


def test_evidence_from_before_a_restart_counts_for_nothing() -> None:
    stage = Stage(limits(startup_grace_seconds=1, dwell_evaluations=3)).start().tick(3).breach().tick(2)
    stage.crash()
    stage.tick(2)
    assert stage.effects == 0
    stage.tick(2)
    assert stage.effects == 1


@pytest.mark.parametrize("how", ["at start", "while running"])
def test_a_journal_that_cannot_be_relied_on_means_observe_and_one_alert(how: str) -> None:
    stage = Stage()
    if how == "at start":
        stage.start("hash chain broken at row 12")
    else:
        stage.start().send(StorageFailed("disk full"))
    stage.tick(12).breach().tick(30)
    stage.send(StorageFailed("disk full"))
    assert stage.effects == 0
    assert stage.held_by == {"storage"}
    (notice,) = stage.notices_of(NoticeKind.STORAGE_FAULT)
    assert notice.severity == "page"
    assert not any(isinstance(effect, HoldTraffic | Dispatch) for effect in stage.log)


def test_a_sound_journal_at_the_next_start_lifts_the_latch() -> None:
    stage = Stage().start("hash chain broken").tick(12).breach().tick(5)
    assert stage.held_by == {"storage"}
    stage.crash()
    stage.tick(12)
    assert stage.effects == 1


def test_verification_goes_on_without_a_disk() -> None:
    stage = Stage().acting().tick(2)
    stage.send(StorageFailed("disk full"))
    stage.until(IncidentState.RECOVERING)


# ── blindness ───────────────────────────────────────────────────────────────────────────────────


def blind(sentence: str, kind: ReasonKind = ReasonKind.UNREADABLE) -> Stage:
    mild = Rule("gpu_imbalance", Cure.NOTHING, Severity.WARN)
    stage = Stage(rules=[Rule("slow_tokens"), Rule("hang"), mild]).quiet()
    for rule in stage.rules[:2]:
        rule.verdict, rule.sentence, rule.reasons = Verdict.UNKNOWN, sentence, (Reason(kind, sentence),)
    return stage


def test_people_hear_once_that_nothing_can_be_judged_although_the_engine_serves() -> None:
    stage = blind("no relay worker was heard for 12 s").tick(100)
    (notice,) = stage.notices_of(NoticeKind.BLIND)
    assert "no relay worker" in notice.text
    assert stage.newest is None


def test_sight_that_returns_ends_the_alert_that_it_was_lost_and_going_blind_again_opens_another() -> None:
    stage = blind("no relay worker was heard for 12 s").tick(40).well().tick(5)
    began, ended = stage.notices
    assert (began.kind, ended.kind) == (NoticeKind.BLIND, NoticeKind.RESOLVED)
    assert began.incident == ended.incident
    for rule in stage.rules[:2]:
        rule.verdict = Verdict.UNKNOWN
    stage.tick(40)
    assert len(stage.notices_of(NoticeKind.BLIND)) == 2


def test_the_name_of_a_model_does_not_silence_the_notice() -> None:
    stage = blind("no canary was ever served by this engine, and the newest was refused: no model warm-7b, idle-1")
    assert len(stage.tick(100).notices_of(NoticeKind.BLIND)) == 1


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("idle: no exchange", ReasonKind.IDLE),
        ("the engine is warming up: 3 of 50 requests", ReasonKind.WARMING),
        ("nobody asks anything; whatever the sentence says, the kind decides", ReasonKind.IDLE),
    ],
)
def test_an_idle_or_warming_server_is_not_a_blind_watchtower(sentence: str, kind: ReasonKind) -> None:
    assert blind(sentence, kind).tick(200).notices == []


def test_of_several_reasons_people_hear_the_loudest() -> None:
    stage = blind("no relay worker was heard for 12 s")
    stage.rules[0].sentence, stage.rules[0].reasons = "off", (Reason(ReasonKind.NOT_CONFIGURED, "no references"),)
    (notice,) = stage.tick(100).notices_of(NoticeKind.BLIND)
    assert "no relay worker" in notice.text


def test_one_rule_that_can_be_read_is_enough_to_see() -> None:
    stage = blind("no relay worker was heard for 12 s")
    stage.rules[1].verdict = Verdict.OK
    assert stage.tick(100).notices == []


def test_a_canary_that_is_served_does_not_make_up_for_a_relay_that_is_silent() -> None:
    stage = blind("relay worker 0 has been silent for 12 s")
    stage.rules[0].reasons = (Reason(ReasonKind.UNREADABLE, "relay worker 0 has been silent for 12 s", "relay"),)
    stage.rules[1].verdict = Verdict.OK
    (notice,) = stage.tick(100).notices_of(NoticeKind.BLIND)
    assert "no rule on traffic can be judged" in notice.text
    assert [notice.kind for notice in stage.well().tick(5).notices] == [NoticeKind.BLIND, NoticeKind.RESOLVED]


def test_a_card_that_is_well_is_no_sight_of_the_service() -> None:
    stage = blind("no relay worker was heard for 12 s")
    stage.rules.append(Rule("gpu_failed", Cure.NOTHING, reading="gpu_xid.fatal"))
    assert len(stage.tick(100).notices_of(NoticeKind.BLIND)) == 1


def test_an_engine_that_does_not_serve_is_not_a_blind_watchtower() -> None:
    stage = blind("no relay worker was heard for 12 s")
    stage.serving = False
    assert stage.tick(100).notices == []


# ── dry run against the real thing ──────────────────────────────────────────────────────────────


_moments = st.lists(
    st.tuples(
        st.sampled_from([Verdict.OK, Verdict.BREACH, Verdict.BREACH, Verdict.UNKNOWN]),
        st.sampled_from([Verdict.OK, Verdict.BREACH, Verdict.UNKNOWN]),
        st.sampled_from(["", "", "", "hide", "restart", "lease", "pause"]),
        st.integers(1, 4),
    ),
    max_size=25,
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(_moments)
def test_a_dry_run_decides_as_auto_does_up_to_the_first_effect(
    moments: list[tuple[Verdict, Verdict, str, int]],
) -> None:
    """Same trace, both modes: observe would act exactly where, and as, auto begins."""
    auto, dry = (
        Stage(limits(mode=mode), rules=[Rule("slow"), Rule("hang")]).start() for mode in (Mode.AUTO, Mode.OBSERVE)
    )
    for slow, hang, what, seconds in moments:
        for stage in (auto, dry):
            stage.rules[0].verdict, stage.rules[1].verdict = slow, hang
            stage.known, stage.lease_held = what != "hide", what != "lease"
            if what == "restart":
                stage.restart_engine()
            if what == "pause":
                stage.command("pause", reason="deploy", seconds=3.0)
        for _ in range(seconds):
            auto.tick()
            dry.tick()
            if auto.kinds("action.") or dry.kinds("action."):
                begun, would = auto.records_of("action.reserved")[0].body, dry.records_of("action.would_act")[0].body
                assert {key: would[key] for key in ("incident", "rule", "verb", "attempt")}.items() <= begun.items()
                assert set(begun["permits"]) - set(would["permits"]) == {"not_only_observing"}
                return
            assert auto.kinds("incident.") == dry.kinds("incident.")
            assert auto.phase_or_none() == dry.phase_or_none()


def test_the_trace_of_the_comparison_does_reach_an_action() -> None:
    """The property above would hold of machines that never act."""
    assert Stage().acting().kinds("action.reserved")
    assert Stage(limits(mode=Mode.OBSERVE)).acting().kinds("action.") == ["action.would_act"]
