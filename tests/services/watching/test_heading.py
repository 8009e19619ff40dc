"""The headline is made of the newest evaluation and of what is committed."""

from __future__ import annotations

from watchtower.remediation.state import Incident, Pause, TargetState
from watchtower.services.watching.heading import Heading
from watchtower.vocabulary.facts import Bypassed
from watchtower.vocabulary.headline import Level
from watchtower.vocabulary.incidents import IncidentState
from watchtower.vocabulary.instants import Instant

NOW = Instant(1000.0, 1_767_225_600.0, "b")


def heading(state: TargetState) -> Heading:
    made = Heading("chat-7b", 1.0, 990.0)
    made.after_commit(state)
    return made


def incident(state: IncidentState) -> Incident:
    return Incident(
        id="inc-1",
        state=state,
        severity="page",
        title="p95 412 ms over 130 ms",
        rules=("slow_tokens",),
        curative=True,
        opened_at=990.0,
        opened_wall=0.0,
        entered_at=990.0,
        known_at=999.0,
        window_seconds=60.0,
    )


def test_an_incident_that_goes_on_is_named_with_its_command() -> None:
    found = heading(TargetState(target="chat-7b", incident=incident(IncidentState.HELD))).after_tick((), NOW)
    assert (found.level, found.sentence) == (Level.INCIDENT, "chat-7b: HELD · p95 412 ms over 130 ms")
    assert (found.since, found.next_command) == (990.0, "watchtower explain inc-1")


def test_one_that_is_resolved_is_none() -> None:
    found = heading(TargetState(target="chat-7b", incident=incident(IncidentState.RESOLVED))).after_tick((), NOW)
    assert found.level is Level.IDLE


def test_a_journal_that_cannot_be_relied_on_is_said_although_all_is_well() -> None:
    found = heading(TargetState(target="chat-7b", storage_fault="the disk is full")).after_tick((), NOW)
    assert found.level is Level.INCIDENT
    assert found.sentence == "chat-7b: nothing can be cured now, Watchtower only observes · the disk is full"


def test_a_bypass_is_blindness_since_the_wall_clock_of_its_order() -> None:
    state = TargetState(target="chat-7b", bypassed=Bypassed("ann", "is it us?", NOW.wall - 60))
    found = heading(state).after_tick((), NOW)
    assert (found.level, found.since, found.next_command) == (Level.BLIND, 940.0, "watchtower bypass --off")


def test_a_pause_says_who_and_why() -> None:
    pause = Pause(author="ann", reason="deploying", since=980.0, until=2000.0, until_wall=0.0)
    found = heading(TargetState(target="chat-7b", pause=pause)).after_tick((), NOW)
    assert (found.level, found.sentence) == (Level.PAUSED, "chat-7b: paused by ann: deploying")
