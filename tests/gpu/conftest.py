from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import msgspec
import pytest

from tests.hardware.machine import Child
from watchtower.hardware.gpu_plan import GpuPlan


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    """The gpu child on this machine's own driver, with the plan of production but for a shorter wait."""
    plan = GpuPlan(samples_seconds=1.0, counters_seconds=2.0)
    process = subprocess.Popen(
        [sys.executable, "-m", "watchtower.programs.gpu", msgspec.json.encode(plan).decode()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    running = Child(process)
    try:
        first = running.report(seconds=90)
        if first.trouble is not None:
            pytest.skip(f"no real GPU: {first.trouble} · {first.because}")
        yield running
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
