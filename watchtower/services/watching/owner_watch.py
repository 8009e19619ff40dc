"""Whoever owns the engine is asked again and again to be there: without an owner nothing can be cured."""

from __future__ import annotations

import structlog

from watchtower.ports import Clock, Owner
from watchtower.vocabulary.errors import NotReachable

OWNER_SECONDS = 5.0
"""How often."""

log = structlog.get_logger("watchtower.owner_watch")


async def keep_owner(owner: Owner, clock: Clock) -> None:
    """For ever."""
    while True:
        await clock.sleep(OWNER_SECONDS)
        try:
            await owner.ensure(clock.now())
        except NotReachable as problem:
            log.error("owner.missing", because=str(problem), again_in_seconds=OWNER_SECONDS)
