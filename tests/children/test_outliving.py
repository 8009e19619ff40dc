"""Real processes that may outlive us: named so that nobody else is hit, asked before they are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchtower.adapters.keeper.process_tree import look
from watchtower.children.counts import Counts
from watchtower.children.outliving import OutlivingProcess
from watchtower.testing.adapters import eventually

SLEEP = "import time; time.sleep(60)"
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('ready', flush=True)
time.sleep(60)
"""


def lives(pid: int) -> bool:
    process = look(pid)
    return process is not None and process.state not in "ZX"


@pytest.fixture
def output(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def counts() -> Counts:
    return Counts()


def spawned(program: str, output: int, counts: Counts, inherited: tuple[int, ...] = ()) -> OutlivingProcess:
    return OutlivingProcess.spawn((sys.executable, "-S", "-c", program), counts, output=output, inherited=inherited)


async def test_its_end_is_noticed_and_its_status_known(output: int, counts: Counts) -> None:
    process = spawned("import sys; sys.exit(4)", output, counts)
    async with asyncio.timeout(10):
        await process.exited()
    assert process.reap() == 4
    assert counts == Counts(started=1)


async def test_it_leads_a_session_of_its_own_and_prints_into_its_log(
    output: int, counts: Counts, tmp_path: Path
) -> None:
    process = spawned("import os; print(os.getsid(0) == os.getpid())", output, counts)
    async with asyncio.timeout(10):
        await process.exited()
    process.reap()
    assert (tmp_path / "output").read_text() == "True\n"


async def test_it_gets_the_descriptors_that_it_is_to_inherit(output: int, counts: Counts) -> None:
    reading, writing = os.pipe()
    process = spawned(f"import os; os.write({writing}, b'inherited')", output, counts, (writing,))
    async with asyncio.timeout(10):
        await process.exited()
    process.reap()
    assert os.read(reading, 100) == b"inherited"
    os.close(reading)
    os.close(writing)


async def test_a_process_that_somebody_else_started_is_adopted(output: int, counts: Counts) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", SLEEP]) as other:  # noqa: ASYNC220
        process = OutlivingProcess.adopt(other.pid)
        assert process is not None
        process.ask_to_leave()
        async with asyncio.timeout(10):
            await process.exited()
        assert process.reap() is None, "its status is its parent's"
        assert other.wait(10) == -signal.SIGTERM
    assert OutlivingProcess.adopt(other.pid) is None, "it is gone"


async def test_one_that_leaves_when_asked_is_not_killed(output: int, counts: Counts) -> None:
    process = spawned(SLEEP, output, counts)
    process.ask_to_leave()
    await process.left(within_seconds=10.0)
    assert process.reap() == -signal.SIGTERM


async def test_one_that_does_not_leave_in_time_is_killed(output: int, counts: Counts, tmp_path: Path) -> None:
    process = spawned(STUBBORN, output, counts)
    assert eventually(lambda: "ready" in (tmp_path / "output").read_text())
    process.ask_to_leave()
    await process.left(within_seconds=0.2)
    async with asyncio.timeout(10):
        await process.exited()
    assert process.reap() == -signal.SIGKILL


async def test_one_that_we_let_go_of_lives_on(output: int, counts: Counts) -> None:
    process = spawned(SLEEP, output, counts)
    process.let_go()
    assert lives(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    assert eventually(lambda: not lives(process.pid))


async def test_asking_one_that_has_left_does_no_harm(output: int, counts: Counts) -> None:
    process = spawned("", output, counts)
    async with asyncio.timeout(10):
        await process.exited()
    process.ask_to_leave()
    await process.left(within_seconds=10.0)
    process.reap()


async def test_whether_it_has_ended_can_be_asked_without_waiting(output: int, counts: Counts) -> None:
    process = spawned(SLEEP, output, counts)
    assert not process.ended
    process.kill()
    assert eventually(lambda: process.ended)
    process.reap()


async def test_a_wait_for_its_exit_may_be_ended_by_others(output: int, counts: Counts) -> None:
    process, over = spawned(SLEEP, output, counts), asyncio.Event()
    waiting = asyncio.ensure_future(process.exited(over))
    await asyncio.sleep(0)
    over.set()
    async with asyncio.timeout(10):
        await waiting
    assert not process.ended
    process.kill()
    await process.exited()
    process.reap()


async def test_the_kernel_says_whether_it_moves(output: int, counts: Counts) -> None:
    process = spawned("while True: pass", output, counts)

    def ticks() -> int:
        motion = process.motion()
        assert motion is not None
        return motion.cpu_ticks

    assert eventually(lambda: ticks() > 0)
    os.kill(process.pid, signal.SIGSTOP)
    assert eventually(lambda: process.motion() == (True, ticks()))
    process.kill()
    await process.exited()
    process.reap()
    assert process.motion() is None


async def test_what_it_catches_does_not_end_it(output: int, counts: Counts, tmp_path: Path) -> None:
    catcher = "import signal, time; signal.signal(signal.SIGUSR1, lambda *_: None); print('ready', flush=True)"
    process = spawned(f"{catcher}; time.sleep(60)", output, counts)
    assert eventually(lambda: "ready" in (tmp_path / "output").read_text())
    assert process.catches(signal.SIGUSR1)
    assert not process.catches(signal.SIGUSR2)
    process.kill()
    await process.exited()
    process.reap()
    assert not process.catches(signal.SIGUSR1)
