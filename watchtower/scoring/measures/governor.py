"""How much CPU the scorer may take: a bucket of CPU seconds that fills at the allowed rate. Pure.

The share is of the whole machine and over time; a short burst is allowed, so that a canary round is not stretched over
minutes when nothing was scored before it. Live samples must leave half of the bucket to canaries.
"""

from __future__ import annotations

BURST_SECONDS = 2.0
"""CPU seconds that may be spent at once after a rest."""
LIVE_RESERVE = 0.5
"""Part of the bucket that live samples never touch."""


class Governor:
    """Says how long to rest before the next batch. ``now`` is any clock in seconds that does not run backwards."""

    def __init__(self, cores: float, now: float, burst_seconds: float = BURST_SECONDS) -> None:
        """``cores``: CPU seconds allowed per second. Raises ValueError unless positive."""
        if cores <= 0:
            raise ValueError("a scorer without CPU can never answer")
        self._cores = cores
        self._burst = burst_seconds
        self._left = burst_seconds
        self._at = now

    def spend(self, cpu_seconds: float, now: float) -> None:
        """A batch was computed; the bucket may go into debt."""
        self._fill(now)
        self._left -= max(0.0, cpu_seconds)

    def rest(self, now: float, *, live: bool) -> float:
        """Seconds until the next batch may start; 0: now."""
        self._fill(now)
        needed = LIVE_RESERVE * self._burst if live else 0.0
        return max(0.0, (needed - self._left) / self._cores)

    def _fill(self, now: float) -> None:
        self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._cores)
        self._at = max(self._at, now)
