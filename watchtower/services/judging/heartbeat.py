"""The rhythm of evaluation, and whether it still beats: what ``/-/healthy`` tells.

Tied to the loop that decides, not to the web server that answers. A tick that is late is not made up for; the next one
comes at its own time.
"""

from __future__ import annotations

from collections.abc import Callable

from watchtower.ports import Clock

MISSED_TICKS = 5
LEAST_SECONDS = 10.0
"""The loop counts as dead when no evaluation has ended for five periods, and at least this long."""


class Heartbeat:
    """``run`` evaluates once a period; ``because`` says why the loop counts as dead."""

    def __init__(self, clock: Clock, period: float) -> None:
        """``period``: seconds from tick to tick. The start counts as a beat."""
        self._clock = clock
        self._period = period
        self._allowed = max(LEAST_SECONDS, MISSED_TICKS * period)
        self._last = clock.now().boot

    async def run(self, evaluate: Callable[[], None]) -> None:
        """For ever. An evaluation that raises is no beat."""
        due = self._clock.now().boot
        while True:
            evaluate()
            self._last = self._clock.now().boot
            due = max(due + self._period, self._clock.now().boot)
            await self._clock.sleep(due - self._clock.now().boot)

    def because(self) -> str:
        """ "" while the loop lives."""
        since = self._clock.now().boot - self._last
        return "" if since < self._allowed else f"no evaluation for {since:.0f} s"
