"""Long-lived tasks: each has a name and a guard, start in order, stop in reverse. Nothing dies unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger("watchtower.tasks")


class TaskGroup:
    """Starts named tasks; a task that ends with an exception is logged, counted and, if asked, started again."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._sleep = sleep
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.failures: dict[str, int] = {}

    def start(
        self, name: str, make: Callable[[], Coroutine[Any, Any, None]], *, restart_after: float | None = 1.0
    ) -> None:
        """Run ``make()`` under ``name``; after a failure run it again in ``restart_after`` seconds (None: never)."""
        if self.running(name):
            raise RuntimeError(f"task {name!r} already runs")
        self.failures.setdefault(name, 0)
        self._tasks[name] = asyncio.get_running_loop().create_task(self._guard(name, make, restart_after), name=name)

    def running(self, name: str) -> bool:
        return name in self._tasks and not self._tasks[name].done()

    async def _guard(
        self, name: str, make: Callable[[], Coroutine[Any, Any, None]], restart_after: float | None
    ) -> None:
        while True:
            try:
                await make()
                return
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
