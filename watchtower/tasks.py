"""Long-lived tasks: each has a name and a guard, start in order, stop in reverse. Nothing dies unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger("watchtower.tasks")

Make = Callable[[], Coroutine[Any, Any, None]]


class TaskGroup:
    """Starts named tasks; a task that ends as it should not is logged, counted and, if asked, started again."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._sleep = sleep
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.failures: dict[str, int] = {}

    def start(self, name: str, make: Make, *, restart_after: float | None = 1.0, eternal: bool | None = None) -> None:
        """Run ``make()`` under ``name``; after a failure run it again in ``restart_after`` seconds (None: never).

        ``eternal``: it ends only when it is cancelled, so returning is a failure as well. Whoever is to be started
        again is eternal unless it says otherwise."""
        if self.running(name):
            raise RuntimeError(f"task {name!r} already runs")
        if eternal is None:
            eternal = restart_after is not None
        self.failures.setdefault(name, 0)
        guarded = self._guard(name, make, restart_after, eternal)
        self._tasks[name] = asyncio.get_running_loop().create_task(guarded, name=name)

    def running(self, name: str) -> bool:
        return name in self._tasks and not self._tasks[name].done()

    async def _guard(self, name: str, make: Make, restart_after: float | None, eternal: bool) -> None:
        while True:
            try:
                await make()
                if not eternal:
                    return
                self.failures[name] += 1
                log.error("eternal task returned", task=name, failures=self.failures[name])
            except asyncio.CancelledError:
                raise
            except Exception as problem:
                self.failures[name] += 1
                log.error(
                    "task failed", task=name, kind=type(problem).__name__, failures=self.failures[name], exc_info=True
                )
            if restart_after is None:
                return
            await self._sleep(restart_after)

    async def stop(self) -> None:
        """Cancel every task, newest first, and wait for each."""
        for task in reversed(list(self._tasks.values())):
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                pass
        self._tasks.clear()
