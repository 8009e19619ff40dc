"""An owner that is away is asked again, for ever."""

from __future__ import annotations

import asyncio

import pytest

from watchtower.services.watching.owner_watch import OWNER_SECONDS, keep_owner
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.actions import Reply, ReplyKind
from watchtower.vocabulary.errors import NotReachable
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.ownership import Ensured, PersonOrder


class Owner:
    """Away at the second question."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def ensure(self, now: Instant) -> Ensured:
        self.asked.append(now.boot - 1000.0)
        if len(self.asked) == 2:
            raise NotReachable("nobody answers")
        return Ensured()

    async def close(self, end_engine: bool) -> None: ...

    async def order(self, order: PersonOrder) -> Reply:
        return Reply(ReplyKind.REJECTED, "")


async def test_the_owner_is_asked_on_although_one_question_failed() -> None:
    owner, clock = Owner(), HandClock()
    task = asyncio.create_task(keep_owner(owner, clock))
    for _ in range(4):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert owner.asked == [OWNER_SECONDS, 2 * OWNER_SECONDS, 3 * OWNER_SECONDS]
