"""A machine with GPUs that a test makes up: the real gpu child on the real pynvml over the stand-in for NVML."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import msgspec

from watchtower.hardware.gpu_plan import GpuPlan
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import GpuSeen

QUICK = GpuPlan(
    poll_seconds=0.1,
    samples_seconds=0.3,
    counters_seconds=0.2,
    processes_seconds=0.5,
    retry_seconds=0.4,
    call_seconds=0.5,
    open_seconds=1.0,
)
"""The real plan, with minutes made tenths of seconds."""


def uuid(index: int) -> str:
    return f"GPU-0000000{index:x}-0000-4000-8000-00000000000{index:x}"


class Child:
    """A running gpu child and what it said."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.signs_of_life = 0
        self._reports: queue.Queue[GpuReport | None] = queue.Queue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if not line.endswith(b"\n"):
                break  # it was killed in the middle of a word
            if line.strip():
                self._reports.put(msgspec.json.decode(line, type=GpuReport))
            else:
                self.signs_of_life += 1
        self._reports.put(None)

    def report(self, accept: Callable[[GpuReport], object] = lambda report: True, seconds: float = 30.0) -> GpuReport:
        """The next report that is acceptable."""
        until = time.monotonic() + seconds
        last: GpuReport | None = None
        while (left := until - time.monotonic()) > 0:
            try:
                report = self._reports.get(timeout=left)
            except queue.Empty:
                break
            assert report is not None, f"the child ended; before that: {last}"
            if accept(report):
                return report
            last = report
        raise AssertionError(f"no such report within {seconds} s; the last: {last}")

    def ended(self, seconds: float = 30.0) -> int:
        return self.process.wait(seconds)

    def bury(self) -> None:
        """Kill it, and read to the end before the pipe is closed."""
        self.process.kill()
        self.process.wait()
        self._reader.join(10)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


class Machine:
    def __init__(self, directory: Path, library: Path | None) -> None:
        self._scenario = directory / "scenario"
        self._library = library
        self.closed = directory / "closed"
        """Pids that shut NVML down, one a line."""
        self.scene("gpus 8")

    def scene(self, *lines: str) -> None:
        """What is true from now on."""
        next_one = self._scenario.with_suffix(".next")
        next_one.write_text("\n".join(lines) + "\n")
        next_one.replace(self._scenario)

    def environment(self) -> dict[str, str]:
        mine = {"NVML_STUB_SCENARIO": str(self._scenario), "NVML_STUB_CLOSED": str(self.closed)}
        if self._library is not None:
            mine["LD_LIBRARY_PATH"] = str(self._library)
        return {**os.environ, **mine}

    @contextmanager
    def child(self, plan: GpuPlan = QUICK) -> Iterator[Child]:
        process = subprocess.Popen(
            [sys.executable, "-m", "watchtower.programs.gpu", msgspec.json.encode(plan).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment(),
        )
        child = Child(process)
        try:
            yield child
        finally:
            child.bury()


def sampled(report: GpuReport) -> bool:
    """Whether every GPU that can tell its utilization does so in this report."""
    return bool(report.gpus) and all(
        gpu.utilization or gpu.trouble or "utilization" in gpu.unavailable for gpu in report.gpus
    )


def gpu_of(report: GpuReport, index: int) -> GpuSeen:
    return next(gpu for gpu in report.gpus if gpu.index == index)
