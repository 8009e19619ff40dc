"""Who is connected, and counts that neither fall nor count twice."""

from __future__ import annotations

from typing import Any

import pytest

from watchtower.services.relaying.relay_roster import MOST_REMEMBERED, RelayRoster
from watchtower.vocabulary.facts import EngineScrape, RelayEnded, RelayFrame, RelayGone
from watchtower.vocabulary.unread import RouteUnread, UnreadCause


@pytest.fixture
def roster() -> RelayRoster:
    return RelayRoster()


def frame(pid: int = 77, **more: Any) -> RelayFrame:
    return RelayFrame(**{"at": 1.0, "worker": 0, "pid": pid, "sequence": 1, "open_exchanges": 0, **more})


def gone(pid: int = 77) -> RelayGone:
    return RelayGone(at=2.0, worker=0, pid=pid)


def test_nobody_is_connected_before_somebody_reports(roster: RelayRoster) -> None:
    roster.absorb(EngineScrape(at=1.0, ok=True))
    assert roster.frames() == [] and roster.counts == {}


def test_the_newest_frame_of_each_worker_counts(roster: RelayRoster) -> None:
    for open_exchanges in (3, 5):
        roster.absorb(frame(open_exchanges=open_exchanges))
    roster.absorb(frame(pid=88, open_exchanges=1))
    assert sorted(found.open_exchanges for found in roster.frames()) == [1, 5]


def test_a_worker_that_left_does_not_take_its_successor_along(roster: RelayRoster) -> None:
    roster.absorb(frame(pid=77))
    roster.absorb(frame(pid=88))
    roster.absorb(gone(77))
    assert [found.pid for found in roster.frames()] == [88]
    roster.absorb(gone(88))
    assert roster.frames() == []


def test_counts_never_fall_and_count_nothing_twice(roster: RelayRoster) -> None:
    roster.absorb(frame(counters={"requests": 100}, dropped_news=3))
    roster.absorb(frame(counters={"requests": 130}, dropped_news=3))
    roster.absorb(gone())
    roster.absorb(frame(counters={"requests": 131}, dropped_news=3))  # the same process, connected again
    roster.absorb(frame(pid=88, counters={"requests": 5}))
    assert roster.counts == {"requests": 136, "dropped_news": 3}


def test_workers_that_die_again_and_again_fill_no_memory(roster: RelayRoster) -> None:
    for pid in range(1000, 2000):
        roster.absorb(frame(pid=pid, counters={"requests": 1}))
        roster.absorb(gone(pid))
    assert roster.counts["requests"] == 1000
    assert len(roster._counted) == MOST_REMEMBERED


def passed(requests: int, errors: int = 0) -> list[RouteUnread]:
    endings = {"unobserved": requests - errors, "error": errors}
    return [RouteUnread("/pooling", UnreadCause.ROUTE, requests, endings, {"2xx": requests}, requests * 0.5)]


def test_what_passed_unread_is_added_up_over_workers_and_connections(roster: RelayRoster) -> None:
    roster.absorb(frame(routes=passed(10)))
    roster.absorb(frame(routes=passed(12, errors=1)))
    roster.absorb(frame())
    roster.absorb(gone())
    roster.absorb(frame(routes=passed(13, errors=1)))  # the same process tells all of it to a new connection
    roster.absorb(frame(pid=88, routes=passed(5)))
    (total,) = roster.unread.values()
    assert (total.requests, total.endings, total.statuses) == (18, {"unobserved": 17, "error": 1}, {"2xx": 18})
    assert total.seconds == 9.0


def test_a_worker_that_was_ended_counts_each_answer_that_this_cut_and_one_at_least(roster: RelayRoster) -> None:
    """It cannot say so itself."""
    roster.absorb(frame(open_exchanges=7))
    roster.absorb(RelayEnded(at=2.0, worker=0, pid=77))
    assert roster.counts["relay_caused_errors.stuck"] == 7
    roster.absorb(RelayEnded(at=3.0, worker=1, pid=88))
    assert roster.counts["relay_caused_errors.stuck"] == 8
