from __future__ import annotations

import pytest

from tests.storage.samples import a_notice
from watchtower.storage.outbox import OutboxState, weight
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.incidents import NoticeKind
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.records import Fate

CLOCK = HandClock()
NOW = CLOCK.now()


def queued(outbox: OutboxState, *notices: tuple[str, NoticeKind, str], sink: str = "hook") -> OutboxState:
    draft = outbox.draft()
    start = max((row.seq for row in outbox.rows()), default=0) + 1
    for seq, (id, kind, incident) in enumerate(notices, start):
        draft.queue(a_notice(id, kind, incident), [sink], seq, NOW)
    return draft


def due_ids(outbox: OutboxState, now: Instant = NOW, sink: str = "hook") -> list[str]:
    return [row.notice.id for row in outbox.due(now, sink)]


def test_a_later_notice_of_an_incident_waits_for_the_earlier_one() -> None:
    outbox = queued(OutboxState(), ("a", NoticeKind.OPENED, "inc-1"), ("b", NoticeKind.ACTING, "inc-1"))
    assert due_ids(outbox) == ["a"]
    outbox.settle(outbox.rows()[0], Fate.DELIVERED)
    assert due_ids(outbox) == ["b"]


def test_incidents_and_sinks_do_not_wait_for_each_other() -> None:
    outbox = queued(OutboxState(), ("a", NoticeKind.OPENED, "inc-1"), ("b", NoticeKind.OPENED, "inc-2"))
    outbox.queue(a_notice("c"), ["log"], 3, NOW)
    assert due_ids(outbox) == ["a", "b"]
    assert due_ids(outbox, sink="log") == ["c"]


@pytest.mark.parametrize("kind", [NoticeKind.OPENED, NoticeKind.ESCALATED])
def test_a_postponed_notice_is_due_again_only_at_its_time_and_holds_back_its_incident(kind: NoticeKind) -> None:
    outbox = queued(OutboxState(), ("a", kind, "inc-1"), ("b", NoticeKind.ACTING, "inc-1"))
    outbox.postpone(outbox.rows()[0], NOW.later(5))
    assert due_ids(outbox) == []
    assert due_ids(outbox, NOW.later(5)) == ["a"]
    assert outbox.rows()[0].attempts == 1


def test_a_mark_of_another_boot_holds_nothing_back() -> None:
    outbox = queued(OutboxState(), ("a", NoticeKind.OPENED, "inc-1"))
    outbox.postpone(outbox.rows()[0], NOW.later(3600))
    assert due_ids(outbox, Instant(1.0, NOW.wall, "next-boot")) == ["a"]


def test_escalations_are_sent_first() -> None:
    outbox = queued(OutboxState(), ("a", NoticeKind.OPENED, "inc-1"), ("b", NoticeKind.ESCALATED, "inc-2"))
    assert due_ids(outbox) == ["b", "a"]


def test_a_late_trigger_is_superseded_by_its_resolve() -> None:
    outbox = queued(OutboxState(), ("a", NoticeKind.OPENED, "inc-1"), ("x", NoticeKind.OPENED, "inc-2"))
    outbox.postpone(outbox.rows()[0], NOW.later(5))
    outbox.postpone(outbox.rows()[1], NOW.later(5))
    draft = queued(outbox, ("b", NoticeKind.RESOLVED, "inc-1"))
    assert [(s.pending.notice.id, s.fate) for s in draft.settled] == [("a", Fate.SUPERSEDED)]
    assert due_ids(draft) == ["b"]
    assert {row.notice.id for row in draft.rows()} == {"x", "b"}


def test_a_trigger_that_never_failed_is_told_before_its_resolve() -> None:
    outbox = queued(OutboxState(), ("a", NoticeKind.OPENED, "inc-1"), ("b", NoticeKind.RESOLVED, "inc-1"))
    assert due_ids(outbox) == ["a"]
    assert outbox.settled == []


def test_an_escalation_does_not_wait_behind_a_notice_that_keeps_failing() -> None:
    outbox = queued(OutboxState(), ("a", NoticeKind.OPENED, "inc-1"))
    outbox.postpone(outbox.rows()[0], NOW.later(3600))
    assert due_ids(queued(outbox, ("b", NoticeKind.ESCALATED, "inc-1"))) == ["b"]


def test_an_escalation_is_never_superseded() -> None:
    outbox = queued(OutboxState(), ("a", NoticeKind.ESCALATED, "inc-1"))
    outbox.postpone(outbox.rows()[0], NOW.later(5))
    assert queued(outbox, ("b", NoticeKind.RESOLVED, "inc-1")).settled == []


def test_a_full_outbox_drops_the_oldest_and_escalations_last() -> None:
    outbox = OutboxState(most_rows=2)
    outbox = queued(outbox, ("esc", NoticeKind.ESCALATED, "inc-1"), ("a", NoticeKind.OPENED, "inc-2"))
    outbox = queued(outbox, ("b", NoticeKind.OPENED, "inc-3"))
    assert [row.notice.id for row in outbox.rows()] == ["esc", "b"]
    outbox = queued(outbox, ("esc2", NoticeKind.ESCALATED, "inc-4"))
    assert [row.notice.id for row in outbox.rows()] == ["esc", "esc2"]
    assert outbox.depth(NOW).settled == {Fate.DROPPED: 2}
    outbox.queue(a_notice("esc3", NoticeKind.ESCALATED, "inc-5"), ["hook"], 9, NOW)
    assert [row.notice.id for row in outbox.rows()] == ["esc2", "esc3"]


def test_bytes_are_bounded_too() -> None:
    weight_of_one = weight(a_notice("a"))
    outbox = queued(OutboxState(most_bytes=2 * weight_of_one), *((id, NoticeKind.OPENED, f"inc-{id}") for id in "abc"))
    assert [row.notice.id for row in outbox.rows()] == ["b", "c"]
    assert outbox.depth(NOW).bytes <= 2 * weight_of_one


def test_a_draft_leaves_the_published_outbox_alone() -> None:
    outbox = queued(OutboxState(), ("a", NoticeKind.OPENED, "inc-1"))
    draft = outbox.draft()
    draft.settle(draft.rows()[0], Fate.DELIVERED)
    assert len(outbox.rows()) == 1 and draft.rows() == []


def test_settling_what_already_ended_changes_nothing() -> None:
    outbox = queued(OutboxState(), ("a", NoticeKind.OPENED, "inc-1"))
    row = outbox.rows()[0]
    outbox.settle(row, Fate.SUPERSEDED)
    outbox.settle(row, Fate.DELIVERED)
    outbox.postpone(row, NOW.later(5))
    assert outbox.depth(NOW).settled == {Fate.SUPERSEDED: 1} and outbox.rows() == []


def test_depth_tells_how_old_the_oldest_is() -> None:
    outbox = queued(OutboxState(), ("a", NoticeKind.OPENED, "inc-1"))
    depth = outbox.depth(NOW.later(90))
    assert (depth.pending, depth.oldest_age_seconds) == (1, 90.0)
    assert outbox.depth(NOW.later(90), "log").pending == 0
