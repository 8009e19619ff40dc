"""The place of one relay worker: whoever has it is followed by another when it dies, or falls silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from watchtower.children.policy.restart import Exit, ExitKind
from watchtower.ports import Clock
from watchtower.services.relaying.watched_worker import WatchedWorker

log = structlog.get_logger("watchtower.relays")


class WorkerSlot:
    """Kept alive by ``children.respawning.respawn``."""

    event = "relay worker died"

    def __init__(
        self, place: int, clock: Clock, start: Callable[[], WatchedWorker], adopted: WatchedWorker | None
    ) -> None:
        self.name = f"relay place {place}"
        self.labels: dict[str, int | None] = {"worker": None, "exit_status": None}
        self.worker = adopted
        """Who has the place; None between two."""
        self._clock = clock
        self._start = start
        self._over = asyncio.Event()

    async def live(self) -> Exit:
        worker = self.worker = self.worker or self._start()
        self._over.clear()
        await worker.process.exited(self._over)
        if self.worker is not worker:
            return Exit(ExitKind.AGAIN, "it is silent")
        status, self.worker = worker.process.reap(), None
        self.labels = {"worker": worker.number, "exit_status": status}
        return Exit(ExitKind.FAILED, "it was adopted and died" if status is None else f"it ended with status {status}")

    def vacate(self) -> None:
        """Take the place from its worker, which lives on: another follows at once."""
        self.worker = None
        self._over.set()

    async def pause(self, ended: Exit, seconds: float) -> None:
        await self._clock.sleep(seconds)
