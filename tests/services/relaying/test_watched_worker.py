"""A worker's silence and its standing still: two things, by real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from watchtower.children.outliving import OutlivingProcess
from watchtower.services.relaying.watched_worker import LOOK_SECONDS, PATIENCE, STILL_SECONDS, WatchedWorker
from watchtower.testing.adapters import eventually

BUSY = "while True: pass"
IDLE = "import time; time.sleep(100)"


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def watched(processes: list[subprocess.Popen[bytes]], program: str) -> WatchedWorker:
    processes.append(subprocess.Popen([sys.executable, "-S", "-c", program]))
    process = OutlivingProcess.adopt(processes[-1].pid)
    assert process is not None
    return WatchedWorker(0, process)


def look(worker: WatchedWorker, seconds: float, *, spoke: bool = False) -> None:
    for _ in range(round(seconds / LOOK_SECONDS)):
        worker.look(LOOK_SECONDS, spoke=spoke)


def used_cpu(worker: WatchedWorker) -> int:
    motion = worker.process.motion()
    assert motion is not None
    return motion.cpu_ticks


def test_a_worker_that_has_spoken_has_less_time_than_one_that_starts(processes: list[subprocess.Popen[bytes]]) -> None:
    worker = watched(processes, IDLE)
    assert PATIENCE.start_seconds is not None and PATIENCE.silent_seconds is not None
    look(worker, PATIENCE.start_seconds - LOOK_SECONDS)
    before = worker.overdue
    look(worker, LOOK_SECONDS)
    assert (before, worker.overdue) == (False, True)
    look(worker, LOOK_SECONDS, spoke=True)
    heard = (worker.overdue, worker.silent_seconds)
    look(worker, PATIENCE.silent_seconds)
    assert (heard, worker.overdue) == ((False, 0.0), True)


def test_one_that_stands_still_is_stuck_in_the_end_and_not_before(processes: list[subprocess.Popen[bytes]]) -> None:
    worker = watched(processes, BUSY)
    assert eventually(lambda: used_cpu(worker) > 0)
    os.kill(worker.process.pid, signal.SIGSTOP)
    assert eventually(lambda: (motion := worker.process.motion()) is not None and motion.stopped)
    look(worker, STILL_SECONDS - LOOK_SECONDS)
    before = (worker.overdue, worker.stuck)
    look(worker, LOOK_SECONDS)
    assert (before, worker.stuck) == ((True, False), True)
    look(worker, LOOK_SECONDS, spoke=True)
    assert (worker.overdue, worker.stuck) == (False, False), "it came round"


def test_one_that_is_silent_and_busy_is_never_stuck(processes: list[subprocess.Popen[bytes]]) -> None:
    """It may be writing what clients read."""
    worker = watched(processes, BUSY)
    for _ in range(5):
        look(worker, STILL_SECONDS / 2)
        before = used_cpu(worker)
        assert eventually(lambda before=before: used_cpu(worker) > before)  # type: ignore[misc]
        look(worker, LOOK_SECONDS)
        assert not worker.stuck
    assert worker.silent_seconds > 2 * STILL_SECONDS


def test_one_that_idles_without_a_tick_of_cpu_is_stuck(processes: list[subprocess.Popen[bytes]]) -> None:
    worker = watched(processes, IDLE)
    look(worker, STILL_SECONDS)  # it may be starting still

    def stuck() -> bool:
        look(worker, STILL_SECONDS)
        return worker.stuck

    assert eventually(stuck)
