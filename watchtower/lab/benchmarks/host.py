"""Where a figure was measured: without it, the figure means nothing."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import msgspec

from watchtower import __version__


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    cores: int
    """That this process may use."""
    model: str
    load_average: tuple[float, float, float]
    """1, 5 and 15 minutes, when the run began: above the number of cores, others were at work too."""
    kernel: str
    versions: dict[str, str]

    @property
    def busy(self) -> bool:
        """Others were at work: delays then say little, and ratios less than they should."""
        return self.load_average[0] > self.cores / 2


def this_machine(versions: dict[str, str]) -> Machine:
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        model=_cpu_model(),
        load_average=os.getloadavg(),
        kernel=platform.release(),
        versions={"watchtower": __version__, "python": platform.python_version(), **versions},
    )


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown CPU")
