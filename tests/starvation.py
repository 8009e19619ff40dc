"""A failure on a machine whose CPU was taken away says nothing about us: such a test waits, and runs again.

On a virtual machine the neighbours' share shows as "steal" in ``/proc/stat`` (proc(5)); minutes at 90 % have been seen.
A test that fails while a twentieth of the CPU or more is stolen is run again, at most twice, each time after the
machine has been left alone for a second (or after a minute without that). Without steal a failure stays a failure.
The summary names every test that was run again.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import pytest

TOO_MUCH = 0.05
PATIENCE_SECONDS = 60.0


class Jiffies(NamedTuple):
    """What the CPUs have counted since boot, in USER_HZ."""

    stolen: int
    total: int

    @classmethod
    def now(cls) -> Jiffies:
        try:
            first = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
        except OSError:
            return cls(0, 0)  # no Linux: nothing is known of neighbours
        counts = [int(word) for word in first.split()[1:9]]
        return cls(counts[7], sum(counts))

    def stolen_since(self, before: Jiffies) -> float:
        """The share of all CPU time that the neighbours took, 0…1."""
        return (self.stolen - before.stolen) / max(1, self.total - before.total)


class Attempt:
    begun = Jiffies(0, 0)


def pytest_runtest_logstart() -> None:
    Attempt.begun = Jiffies.now()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.flaky(reruns=2, condition=starved))


def starved() -> bool:
    """Whether the attempt that just failed had too little CPU; if so, this returns when there is some again."""
    if Jiffies.now().stolen_since(Attempt.begun) < TOO_MUCH:
        return False
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        before = Jiffies.now()
        time.sleep(1.0)
        if Jiffies.now().stolen_since(before) < TOO_MUCH:
            break
    return True
