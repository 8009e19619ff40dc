"""The contract of an owner: what the daemon may expect of whoever owns the engine.

A plug-in author subclasses ``OwnerContract`` and gives it a pytest fixture ``owner``, fresh for each test. The null
owner is held to it as well: it owns nothing, says so, and does no harm.
"""

from __future__ import annotations

import asyncio

from watchtower.clock import SystemClock, boottime, sleep_blocking
from watchtower.ports import Owner
from watchtower.vocabulary.actions import Reply, ReplyKind
from watchtower.vocabulary.ownership import Ensured, PersonOrder, PersonVerb

NOW = SystemClock().now
STOP = PersonOrder(verb=PersonVerb.STOP, author="ann", reason="maintenance")
START = PersonOrder(verb=PersonVerb.START, author="ann", reason="maintenance is over")


class OwnerContract:
    """Every promise of port ``Owner``."""

    def test_asking_again_finds_the_same_engine_and_starts_no_other(self, owner: Owner) -> None:
        first, second = _ensure(owner), _ensure(owner)
        assert second.incarnation == first.incarnation
        assert second.found

    def test_a_daemon_that_leaves_leaves_the_engine(self, owner: Owner) -> None:
        first = _ensure(owner)
        asyncio.run(owner.close(end_engine=False))
        assert _ensure(owner).incarnation == first.incarnation

    def test_closing_twice_is_harmless(self, owner: Owner) -> None:
        _ensure(owner)
        asyncio.run(owner.close(end_engine=True))
        asyncio.run(owner.close(end_engine=True))

    def test_an_order_is_answered_and_what_was_refused_changes_nothing(self, owner: Owner) -> None:
        first = _ensure(owner)
        reply = _order(owner, STOP)
        assert reply.kind in (ReplyKind.ACKED, ReplyKind.REJECTED), reply.because
        if reply.kind is ReplyKind.REJECTED:
            assert reply.because
            assert _ensure(owner).incarnation == first.incarnation
            return
        _until_nobody_runs(owner)
        assert _order(owner, START).kind is ReplyKind.ACKED
        assert _ensure(owner).incarnation not in (None, first.incarnation)

    def test_what_a_person_stopped_is_not_started_by_asking(self, owner: Owner) -> None:
        _ensure(owner)
        if _order(owner, STOP).kind is ReplyKind.ACKED:
            _until_nobody_runs(owner)
            assert _ensure(owner).incarnation is None


def _ensure(owner: Owner) -> Ensured:
    return asyncio.run(owner.ensure(NOW()))


def _order(owner: Owner, order: PersonOrder) -> Reply:
    return asyncio.run(owner.order(order))


def _until_nobody_runs(owner: Owner, seconds: float = 20.0) -> None:
    until = boottime() + seconds
    while _ensure(owner).incarnation is not None:
        assert boottime() < until, "it still runs"
        sleep_blocking(0.05)
