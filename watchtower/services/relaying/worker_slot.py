"""The place of one relay worker: whoever has it is followed by another when it dies, or falls silent.

Reading may be what kills a worker (an answer that nobody foresaw), and clients pay for each death. So after two within
ten minutes the next one only forwards: traffic goes on, and is UNREADABLE until the next daemon.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from watchtower.children.policy.restart import Exit, ExitKind
from watchtower.ports import Clock
from watchtower.services.relaying.watched_worker import WatchedWorker

DEATHS: Final = 2
WITHIN_SECONDS: Final = 600.0
"""So many deaths while reading, within this time, are not borne a third time."""

log = structlog.get_logger("watchtower.relays")


class WorkerSlot:
    """Kept alive by ``children.respawning.respawn``."""

    event = "relay worker died"

    def __init__(
        self, place: int, clock: Clock, start: Callable[[bool], WatchedWorker], adopted: WatchedWorker | None
    ) -> None:
        """``start`` is told whether the worker may read."""
        self.name = f"relay place {place}"
        self.labels: dict[str, int | None] = {"worker": None, "exit_status": None}
        self.worker = adopted
        """Who has the place; None between two."""
        self._clock = clock
        self._start = start
        self._over = asyncio.Event()
        self._reads = True
        self._deaths: deque[float] = deque(maxlen=DEATHS)  # while reading, CLOCK_BOOTTIME

    async def live(self) -> Exit:
        worker = self.worker = self.worker or self._start(self._reads)
        self._over.clear()
        await worker.process.exited(self._over)
        if self.worker is not worker:
            return Exit(ExitKind.AGAIN, "it is silent")
        status, self.worker = worker.process.reap(), None
        if worker.heard and status != 0:  # one that never spoke could not start, which is another matter
            self._died(worker)
        self.labels = {"worker": worker.number, "exit_status": status}
        return Exit(ExitKind.FAILED, "it was adopted and died" if status is None else f"it ended with status {status}")

    def vacate(self) -> None:
        """Take the place from its worker, which lives on: another follows at once."""
        if self.worker is not None and self.worker.heard and self.worker.busy:  # silent, and at work: lost in reading
            self._died(self.worker)
        self.worker = None
        self._over.set()

    async def pause(self, ended: Exit, seconds: float) -> None:
        await self._clock.sleep(seconds)

    def _died(self, worker: WatchedWorker) -> None:
        """As far as clients are concerned."""
        if not worker.reads:
            return
        now = self._clock.now().boot
        self._deaths.append(now)
        if self._reads and len(self._deaths) == DEATHS and now - self._deaths[0] <= WITHIN_SECONDS:
            self._reads = False
            cure = "traffic is not judged until Watchtower is restarted"
            log.error("relay workers die while they read: the next one only forwards", worker=worker.number, cure=cure)
