"""The one place that reads clocks. Everything else is handed a ``Clock``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

from watchtower.vocabulary.instants import Instant


@lru_cache(maxsize=1)
def boot_id() -> str:
    """This boot's id; marks from another boot mean nothing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown-boot"


def boottime() -> float:
    """CLOCK_BOOTTIME, seconds: runs through suspend, cannot be set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


boottime_ns: Final[Callable[[], int]] = partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
"""CLOCK_BOOTTIME, nanoseconds. No function of ours: the relay asks at every read."""


def sleep_blocking(seconds: float) -> None:
    """For threads and child processes that have no event loop."""
    time.sleep(seconds)


class SystemClock:
    """The machine's clocks."""

    def now(self) -> Instant:
        return Instant(boottime(), time.time(), boot_id())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))
