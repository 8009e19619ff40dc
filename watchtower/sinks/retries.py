"""When to try again: backoff of one notice, and the circuit of one sink. Pure; seconds since boot come from outside.

The backoff is durable (it lies in the outbox); the circuit is not: a fresh start may probe a sink once.
"""

from __future__ import annotations

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 3600.0
GIVE_UP_SECONDS = 24 * 3600.0
"""A notice that could not be delivered for this long is dead."""

TRIP_AFTER = 5
PAUSE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 300.0
"""Short, because one probe is cheap and a page that waits an hour for a sink that recovered is not."""


def backoff_seconds(failed_attempts: int, chance: float) -> float:
    """5 s, 10 s, 20 s … 1 h after the 1st, 2nd, 3rd … failure, plus up to a quarter by ``chance`` in [0, 1)."""
    doubled = FIRST_SECONDS * 2.0 ** min(max(failed_attempts - 1, 0), 16)
    return min(LONGEST_SECONDS, doubled * (1 + chance / 4))


class Circuit:
    """After five failures in a row the sink rests; then one probe decides: closed again, or a longer rest."""

    def __init__(self) -> None:
        self.failures = 0
        """In a row."""
        self.opens_at = 0.0
        """Boot seconds: nothing is sent before."""

    def resting(self, boot: float) -> bool:
        return boot < self.opens_at

    def succeeded(self) -> None:
        self.failures = 0

    def failed(self, boot: float) -> None:
        self.failures += 1
        if self.failures >= TRIP_AFTER:
            pause = PAUSE_SECONDS * 2.0 ** min(self.failures - TRIP_AFTER, 8)
            self.rest(boot, min(LONGEST_PAUSE_SECONDS, pause))

    def rest(self, boot: float, seconds: float) -> None:
        """Leave the sink alone for ``seconds`` from now (never shortens a rest)."""
        self.opens_at = max(self.opens_at, boot + seconds)
