"""How long to wait before a child is started again: twice as long after each failure, up to a limit.

A child that lived long enough was no failure to start, so its death counts as the first one again.
"""

from __future__ import annotations

import msgspec

MOST_DOUBLINGS = 32
"""Beyond it a pause would only overflow; every limit is reached long before."""


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """A value: ``after`` returns the next one."""

    first_seconds: float
    longest_seconds: float
    steady_seconds: float
    """A child that lived this long starts the back-off afresh when it dies."""
    failures: int = 0
    """In a row."""

    @property
    def pause_seconds(self) -> float:
        """Before the next start; 0 where nothing failed yet."""
        if self.failures == 0:
            return 0.0
        return min(self.first_seconds * 2.0 ** min(self.failures - 1, MOST_DOUBLINGS), self.longest_seconds)

    def after(self, lived_seconds: float) -> Backoff:
        """The back-off after one more failure, of a child that lived for ``lived_seconds``."""
        earlier = self.failures if lived_seconds < self.steady_seconds else 0
        return msgspec.structs.replace(self, failures=earlier + 1)
