"""A clock moved by hand: an hour of behaviour in milliseconds, the same way every time."""

from __future__ import annotations

import asyncio

from watchtower.vocabulary.instants import Instant


class HandClock:
    """Starts at boot=1000 s, wall=2026-01-01 unless told otherwise; moves only when told."""

    def __init__(self, boot: float = 1000.0, wall: float = 1_767_225_600.0, boot_id: str = "test-boot") -> None:
        self._now = Instant(boot, wall, boot_id)

    def now(self) -> Instant:
        return self._now

    def advance(self, seconds: float) -> Instant:
        self._now = self._now.later(seconds)
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Jumps: time passes at once, and other tasks get a turn."""
        self.advance(seconds)
        await asyncio.sleep(0)
