"""People stop it with a reason and an end, and every latch has its key."""

from __future__ import annotations

import pytest

from tests.remediation.stage import Stage, limits
from watchtower.remediation.interface import BypassSeen, Commanded
from watchtower.remediation.snapshots import decode, encode
from watchtower.vocabulary.facts import Bypassed
from watchtower.vocabulary.incidents import IncidentState, NoticeKind


def escalated() -> Stage:
    return Stage(limits(single_replica="refuse")).quiet().breach().tick(125)


def test_a_pause_stops_new_actions_and_ends_by_itself_with_fresh_evidence() -> None:
    stage = Stage().quiet()
    stage.command("pause", reason="deploy", seconds=30.0)
    stage.breach().tick(29)
    assert stage.effects == 0
    assert stage.held_by == {"paused"}
    assert "paused by ann for 1 s more: deploy" in stage.incident.held[0].because
    stage.tick(1)
    assert "command.pause_expired" in stage.kinds()
    assert stage.effects == 0, "what was seen during the pause counts for nothing"
    stage.tick(1)
    assert stage.effects == 1


def test_resume_starts_from_fresh_evidence() -> None:
    stage = Stage().quiet()
    stage.command("pause", reason="deploy", seconds=600.0)
    stage.breach().tick(10)
    stage.command("resume")
    stage.tick(1)
    assert stage.effects == 0
    stage.tick(1)
    assert stage.effects == 1


@pytest.mark.parametrize(
    ("command", "because"),
    [
        (Commanded(verb="pause", author="", reason="x", seconds=5), "author"),
        (Commanded(verb="pause", author="ann", seconds=5), "reason"),
        (Commanded(verb="pause", author="ann", reason="x"), "end"),
        (Commanded(verb="pause", author="ann", reason="x", seconds=1e12), "within 30 days"),
        (Commanded(verb="resume", author="ann"), "nothing is paused"),
        (Commanded(verb="breaker_reset", author="ann"), "breaker is closed"),
        (Commanded(verb="ack_resume", author="ann"), "no incident is escalated"),
        (Commanded(verb="ack_resolve", author="ann"), "no incident is escalated"),
        (Commanded(verb="restart_now", author="ann"), "no command"),
    ],
)
def test_a_command_that_cannot_be_obeyed_is_on_record_with_the_reason(command: Commanded, because: str) -> None:
    stage = Stage().quiet()
    stage.send(command)
    assert stage.records[-1].kind == "command.refused"
    assert because in stage.records[-1].body["because"]


def test_every_obeyed_command_is_on_record_with_its_author() -> None:
    stage = Stage().quiet()
    stage.command("pause", reason="deploy", seconds=60.0)
    assert stage.records[-1].kind == "command.pause"
    assert stage.records[-1].body["author"] == "ann"


def test_an_escalated_incident_can_be_closed_by_a_person() -> None:
    stage = escalated()
    stage.well()
    stage.command("ack_resolve", reason="fixed by hand")
    assert stage.phase() is IncidentState.RESOLVED
    assert "fixed by hand" in stage.notices_of(NoticeKind.RESOLVED)[0].text


def test_an_escalated_incident_resumed_by_a_person_needs_fresh_evidence_and_gets_new_attempts() -> None:
    stage = Stage(limits(attempts_per_rung=1, attempts_per_incident=1, hold_deadline_seconds=9000), cures=False)
    stage.acting()
    stage.until(IncidentState.ESCALATED)
    assert stage.effects == 1
    stage.tick(100)
    assert stage.effects == 1
    stage.command("ack_resume", reason="new driver")
    assert stage.phase() is IncidentState.OPEN
    stage.tick(1)
    assert stage.effects == 1
    stage.tick(1)
    assert stage.effects == 2


def test_a_resumed_incident_whose_trouble_is_gone_recovers() -> None:
    stage = escalated()
    stage.command("ack_resume", reason="try again")
    stage.well()
    stage.until(IncidentState.RESOLVED)
    assert stage.effects == 0


def test_flapping_is_forgiven_by_a_person_only() -> None:
    stage = Stage(limits(flap_cycles=2, single_replica="refuse")).quiet()
    for _ in range(3):
        stage.breach().tick(5).well().tick(25)
    assert stage.phase() is IncidentState.ESCALATED
    stage.command("ack_resolve", reason="upstream was flapping")
    assert stage.state.cycles == ()


def test_whatever_changes_what_watchtower_may_do_is_told_and_opens_nothing() -> None:
    stage = Stage().quiet()
    stage.command("pause", reason="deploying", seconds=600.0)
    stage.command("resume")
    stage.command("pause", reason="deploying again", seconds=5.0)
    stage.tick(6)
    notices = stage.notices_of(NoticeKind.MODE_CHANGED)
    assert [notice.what.split(" by ")[0] for notice in notices] == [
        "paused until 2026-01-01T00:10Z",
        "resumed",
        "paused until 2026-01-01T00:00Z",
        "the pause of ann ended (deploying again)",
    ]
    assert "ann: deploying" in notices[0].what
    assert {notice.incident for notice in notices} == {"mode-engine"}


def test_another_mode_at_the_next_start_is_told_once() -> None:
    stage = Stage(limits(mode="observe")).start()
    stage.settings = limits(mode="auto")
    stage.crash()
    stage.crash()
    (notice,) = stage.notices_of(NoticeKind.MODE_CHANGED)
    assert notice.text == "mode observe → auto. It acts by itself, within its limits."


ANNA = Bypassed("anna", "is it us?", 1_767_225_600.0)


def test_a_bypass_is_journaled_and_announced_once_whoever_made_it_and_so_is_its_end() -> None:
    stage = Stage().quiet()
    for seen in (None, ANNA, ANNA, None):
        stage.send(BypassSeen(seen))
    assert [kind for kind in stage.kinds() if kind.startswith("relay.")] == ["relay.bypassed", "relay.bypass_ended"]
    announced = [notice.title for notice in stage.notices_of(NoticeKind.MODE_CHANGED)]
    assert ["bypassed by anna" in title for title in announced] == [True, False]
    assert stage.state.bypassed is None


def test_what_fired_before_a_bypass_counts_for_nothing_after_it() -> None:
    stage = Stage().quiet()
    stage.breach().tick(1)
    stage.send(BypassSeen(ANNA))
    assert stage.state.streaks == {}


def test_a_bypass_is_remembered_over_a_restart_so_that_it_is_announced_once() -> None:
    stage = Stage().quiet()
    stage.send(BypassSeen(ANNA))
    state = decode(encode(stage.state))
    assert state.bypassed == ANNA
