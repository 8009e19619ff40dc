"""Time as a value.

Durations are differences of ``boot`` (CLOCK_BOOTTIME: it counts through suspend, and no one can set it). ``wall`` is
for display only. Marks from another boot mean nothing, so every stored mark travels with its ``boot_id``.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec


class Instant(msgspec.Struct, frozen=True):
    """One moment, seen on both clocks."""

    boot: float
    """Seconds since boot, CLOCK_BOOTTIME."""
    wall: float
    """Unix seconds, UTC. Display and conservative bounds only."""
    boot_id: str
    """/proc/sys/kernel/random/boot_id"""

    def later(self, seconds: float) -> Instant:
        """The moment ``seconds`` after this one (negative: before)."""
        return Instant(self.boot + seconds, self.wall + seconds, self.boot_id)

    def iso(self) -> str:
        """Wall time as RFC 3339 with milliseconds, e.g. ``2026-11-22T06:40:00.000Z``."""
        return iso(self.wall)


def iso(wall: float) -> str:
    """Unix seconds as RFC 3339 with milliseconds."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
