"""Real processes: what they say, how long we wait for it, and that their end is theirs to the last descendant."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
import uvloop

from watchtower.adapters.keeper.process_tree import look
from watchtower.children.child_process import ChildProcess, kill_group
from watchtower.children.counts import Counts
from watchtower.children.policy.patience import Patience
from watchtower.testing.adapters import eventually
from watchtower.vocabulary.errors import NotReachable

PATIENCE = Patience(start_seconds=20.0, silent_seconds=20.0)
ECHO = "import sys\nfor line in sys.stdin: print('heard', line, end='', flush=True)"
SLEEP = "import time; time.sleep(60)"
DEAF = "import os, sys, time; os.close(1); time.sleep(60)"
"""It closes its output and stays."""

Spawn = Callable[..., Awaitable[ChildProcess]]


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
async def spawn(counts: Counts) -> AsyncIterator[Spawn]:
    made: list[ChildProcess] = []

    async def start(
        program: str, patience: Patience = PATIENCE, kill: Callable[[int], None] = kill_group
    ) -> ChildProcess:
        made.append(await ChildProcess.spawn((sys.executable, "-S", "-c", program), patience, counts, kill=kill))
        return made[-1]

    yield start
    for child in made:
        if child.status is None:
            kill_group(child.pid)
        await child.reap("the test is over")


def lives(pid: int) -> bool:
    process = look(pid)
    return process is not None and process.state not in "ZX"


async def test_it_hears_what_is_written_and_is_heard(spawn: Spawn, counts: Counts) -> None:
    child = await spawn(ECHO)
    child.write(b"us\n")
    await child.drain()
    assert await child.heard(child.output.readline()) == b"heard us\n"
    assert counts == Counts(started=1)


async def test_it_leads_a_session_of_its_own(spawn: Spawn) -> None:
    child = await spawn(SLEEP)
    assert os.getsid(child.pid) == child.pid


async def test_a_program_that_cannot_be_started_is_an_oserror_and_no_child(counts: Counts) -> None:
    with pytest.raises(OSError, match="No such file"):
        await ChildProcess.spawn(("/nowhere/python",), PATIENCE, counts)
    assert counts.started == 0


async def test_our_patience_ends_later_while_it_starts_than_when_it_is_ready(spawn: Spawn) -> None:
    child = await spawn(SLEEP, Patience(start_seconds=30.0, silent_seconds=0.1))
    assert child.patience_seconds == 30.0
    assert not child.ready
    child.mark_ready()
    with pytest.raises(TimeoutError):
        await child.heard(child.output.readline())
    assert child.gone == "", "what silence means is for its room to say"


async def test_whoever_waits_for_readiness_goes_on_when_it_is_ready(spawn: Spawn) -> None:
    child = await spawn(SLEEP)
    waiting = asyncio.gather(child.readiness(), child.readiness())
    await asyncio.sleep(0)
    child.mark_ready()
    await waiting
    await child.readiness()


async def test_whoever_waits_for_readiness_learns_why_there_will_be_none(spawn: Spawn) -> None:
    child = await spawn(SLEEP)
    waiting = asyncio.gather(child.readiness(), child.readiness(), return_exceptions=True)
    await asyncio.sleep(0)
    child.give_up("it was the wrong one")
    assert [str(problem) for problem in await waiting] == ["it was the wrong one"] * 2
    with pytest.raises(NotReachable, match="wrong one"):
        await child.readiness()


async def test_one_that_stops_waiting_for_readiness_takes_nothing_from_the_others(spawn: Spawn) -> None:
    child = await spawn(SLEEP)
    impatient = asyncio.get_running_loop().create_task(child.readiness())
    await asyncio.sleep(0)
    impatient.cancel()
    with suppress(asyncio.CancelledError):
        await impatient
    child.mark_ready()
    assert child.ready


async def test_giving_up_kills_it_with_all_it_started_and_counts_once(spawn: Spawn, counts: Counts) -> None:
    child = await spawn(
        "import subprocess, sys, time\nprint(subprocess.Popen(['sleep', '60']).pid, flush=True)\ntime.sleep(60)"
    )
    grandchild = int(await child.output.readline())
    assert lives(grandchild)
    child.give_up("first reason")
    child.give_up("second reason")
    assert await child.ended(10.0)
    assert eventually(lambda: not lives(grandchild))
    assert child.gone == "first reason"
    assert child.status == -9
    assert counts == Counts(started=1, kills=1)


async def test_reaping_ends_it_without_blame(spawn: Spawn, counts: Counts) -> None:
    child = await spawn(SLEEP)
    await child.reap("Watchtower is ending")
    assert not lives(child.pid)
    assert child.gone == "Watchtower is ending"
    assert counts.kills == 0


async def test_a_child_that_ends_by_itself_in_time_is_not_killed(spawn: Spawn, counts: Counts) -> None:
    child = await spawn("import sys; sys.stdin.readline(); sys.exit(3)")
    child.write(b"stop\n")
    assert await child.end(stop_seconds=10.0, kill_seconds=10.0)
    assert (child.status, child.gone) == (3, "")
    assert counts == Counts(started=1)


async def test_a_child_that_does_not_end_by_itself_is_killed_and_counted(spawn: Spawn, counts: Counts) -> None:
    child = await spawn(DEAF)
    assert await child.end(stop_seconds=0.1, kill_seconds=10.0)
    assert child.status == -9
    assert "did not end" in child.gone
    assert counts == Counts(started=1, kills=1)


async def test_a_child_that_was_given_up_gets_no_time_to_end_by_itself(spawn: Spawn, counts: Counts) -> None:
    child = await spawn(SLEEP, kill=lambda pid: None)
    child.give_up("garbage")
    async with asyncio.timeout(10):
        assert not await child.end(stop_seconds=600.0, kill_seconds=0.05)
    assert child.gone == "garbage"
    assert counts == Counts(started=1, kills=1, abandoned=1)


async def test_a_child_that_survives_being_killed_is_abandoned(spawn: Spawn, counts: Counts) -> None:
    asked: list[int] = []  # what SIGKILL does to a process in state D: nothing, for now
    child = await spawn(SLEEP, kill=asked.append)
    assert not await child.end(stop_seconds=0.05, kill_seconds=0.05)
    assert asked == [child.pid]
    assert counts == Counts(started=1, kills=1, abandoned=1)
    assert lives(child.pid)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import sys; sys.exit(7)", "status 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "signal SIGSEGV"),
        (DEAF, "signal SIGKILL"),
    ],
    ids=["status", "signal", "only its output ended"],
)
async def test_how_it_ended_is_said_in_words(spawn: Spawn, program: str, words: str) -> None:
    child = await spawn(program)
    assert await child.output.readline() == b""
    assert await child.status_in_words() == words


async def test_writing_to_a_child_that_is_gone_does_no_harm(spawn: Spawn) -> None:
    child = await spawn("")
    assert await child.ended(10.0)
    child.write(b"x" * 1_000_000)
    child.kill()
    await child.reap("over")
    child.write(b"x")


def test_nor_does_it_in_the_loop_that_the_daemon_runs(counts: Counts) -> None:
    async def main() -> None:
        child = await ChildProcess.spawn((sys.executable, "-S", "-c", ""), PATIENCE, counts)
        await child.reap("over")
        for _ in range(3):
            child.write(b"x")
            await asyncio.sleep(0.01)

    uvloop.run(main())
