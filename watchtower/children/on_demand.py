"""A child that is started when it is first needed, and again at the next need after it was given up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from watchtower.children.child_process import ChildProcess
from watchtower.vocabulary.errors import NotReachable

ENDING = "Watchtower is ending"


class OnDemand:
    """At most one child at a time."""

    def __init__(self, begin: Callable[[], Awaitable[ChildProcess]]) -> None:
        """``begin`` starts one and sees to it that it is marked ready or given up; raises NotReachable."""
        self._begin = begin
        self._starting = asyncio.Lock()
        self._closed = asyncio.Event()
        self.child: ChildProcess | None = None
        """The newest; perhaps not ready yet, perhaps given up."""

    async def ready(self) -> ChildProcess:
        """A child that is ready. Raises NotReachable when there is none to be had."""
        async with self._starting:
            if self.child is None or self.child.gone:
                if self._closed.is_set():
                    raise NotReachable(ENDING)
                if self.child is not None:
                    await self.child.reap("replaced")
                self.child = await self._begin()
                if self._closed.is_set():  # meanwhile
                    await self.child.reap(ENDING)
            child = self.child
        await child.readiness()
        if child.gone:  # between the two
            raise NotReachable(child.gone)
        return child

    async def close(self) -> None:
        """End the child; from now on there is none."""
        self._closed.set()
        if self.child is not None:
            await self.child.reap(ENDING)
