"""Whatever becomes of the scorer child, the daemon gets vectors or a sentence."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from watchtower.children.policy.backoff import Backoff
from watchtower.clock import SystemClock
from watchtower.scoring.batches import MOST_LIVE
from watchtower.scoring.messages import ScorerPlan
from watchtower.scoring.scorer_child import ScorerChild
from watchtower.tasks import TaskGroup

PRELUDE = """
import os, signal, sys, time
import msgspec
from watchtower.scoring.messages import Done, Ready, ScorerPlan, Work, frame, read_blocking
i, o = sys.stdin.buffer, sys.stdout.buffer
def say(m): o.write(frame(m)); o.flush()
def work(): return msgspec.msgpack.decode(read_blocking(i) or sys.exit(), type=Work)
def vectors(w): return b"".join(bytes.fromhex("0000803f00000000") for _ in w.texts)
def answer(w, **more): say(Done(id=w.id, vectors=vectors(w), pieces=len(w.texts), cpu_seconds=0.001, **more))
read_blocking(i)
"""
READY = PRELUDE + "say(Ready(encoder='scripted', width=2, rss_bytes=1))\n"
HONEST = READY + "while True: answer(work())\n"

Make = Callable[..., ScorerChild]


async def eventually(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - a report is polled, as its readers do
            await asyncio.sleep(0.01)


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[ScorerChild] = []
    tasks = TaskGroup(SystemClock().sleep)

    def start(program: str, *, deadline: float = 30.0, memory: int = 1024**3, cores: float = 8.0) -> ScorerChild:
        child = ScorerChild(
            ScorerPlan(),
            SystemClock(),
            cores=cores,
            deadline_seconds=deadline,
            memory_bytes=memory,
            start_seconds=30.0,
            backoff=Backoff(first_seconds=0.05, longest_seconds=120.0, steady_seconds=300.0),
            program=(sys.executable, "-c", program),
        )
        made.append(child)
        tasks.start(f"scorer {len(made)}", child.run, restart_after=None)
        return child

    yield start
    for child in made:
        await child.close()
    await tasks.stop()


async def test_vectors_come_back_in_order_with_their_encoder(make: Make) -> None:
    answer = await make(HONEST).embed([f"text {number}" for number in range(20)])
    assert answer.vectors == [[1.0, 0.0]] * 20
    assert answer.encoder == "scripted"


async def test_no_texts_need_no_vectors(make: Make) -> None:
    assert (await make(HONEST).embed([])).vectors == []


async def test_a_lone_surrogate_does_no_harm(make: Make) -> None:
    assert (await make(HONEST).embed(["broken \ud800 escape"])).vectors == [[1.0, 0.0]]


CRASH_ONCE = """
import pathlib
flag = pathlib.Path({flag!r})
w = work()
if not flag.exists():
    flag.touch()
    {fault}
answer(w)
while True: answer(work())
"""


@pytest.mark.parametrize(
    ("fault", "because"),
    [
        ("os._exit(3)", "ended in the middle of a batch (status 3)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "ended in the middle of a batch (signal SIGKILL)"),
        ("time.sleep(60)", "no answer within 2 s"),
        ("o.write(b'\\x7f\\xff\\xff\\xff garbage'); o.flush(); time.sleep(60)", "wrote garbage"),
        ("say(Done(id=w.id, vectors=bytes(8 * 5)))", "wrote garbage"),
        ("say(Done(id=w.id, vectors=bytes.fromhex('0000c07f') * 2))", "wrote garbage"),
    ],
)
async def test_a_child_that_fails_costs_its_batch_and_is_replaced(
    make: Make, tmp_path: Path, fault: str, because: str
) -> None:
    child = make(READY + CRASH_ONCE.format(flag=str(tmp_path / "failed"), fault=fault), deadline=2.0)
    lost = await child.embed(["secret text"])
    assert lost.vectors is None
    assert because in lost.because
    assert "secret" not in lost.because
    await eventually(lambda: child.report.state == "ready")
    assert (await child.embed(["another"])).vectors == [[1.0, 0.0]]
    assert (child.report.kills, child.report.children) == (1, 2)


async def test_an_error_of_the_encoder_is_told_by_its_kind_and_the_child_lives_on(make: Make) -> None:
    child = make(READY + "w = work(); say(Done(id=w.id, trouble='RuntimeError'))\nwhile True: answer(work())\n")
    assert (await child.embed(["a"])).because == "the encoder failed: RuntimeError"
    assert (await child.embed(["b"])).vectors == [[1.0, 0.0]]
    assert child.report.children == 1


async def test_a_child_that_grows_too_large_is_replaced_after_its_answer(make: Make) -> None:
    child = make(READY + "while True: answer(work(), rss_bytes=2 * 1024**3)\n")
    assert (await child.embed(["a"])).vectors == [[1.0, 0.0]]
    await eventually(lambda: child.report.children == 2 and child.report.state == "ready")
    assert child.report.kills == 1


async def test_an_encoder_that_is_not_installed_is_asked_for_once(make: Make) -> None:
    child = make(PRELUDE + "say(Ready(trouble='not installed: pip install it'))\n")
    assert await child.embed(["a"]) == await child.embed(["b"])
    assert (await child.embed(["c"])).because == "not installed: pip install it"
    assert (child.report.state, child.report.children) == ("never", 1)


async def test_a_child_that_dies_while_loading_says_so(make: Make) -> None:
    child = make("import sys; sys.exit(7)")
    assert "ended while loading (status 7)" in (await child.embed(["a"])).because


async def test_live_samples_do_not_wait_for_an_encoder_that_loads(make: Make) -> None:
    child = make(PRELUDE + "time.sleep(60)")
    assert (await child.embed(["a"], live=True)).because == "the encoder is still loading"


async def test_canaries_overtake_live_samples_and_the_oldest_of_those_fall_off(make: Make) -> None:
    gate = READY + "sys.stdin = None\nwhile True:\n w = work(); time.sleep(0.02); answer(w)\n"
    child = make(gate)
    await child.embed(["first"])
    order: list[str] = []

    async def ask(name: str, live: bool, count: int) -> bool:
        answer = await child.embed([name] * count, live=live)
        order.append(name)
        return answer.vectors is not None

    async with asyncio.TaskGroup() as asking:
        old = asking.create_task(ask("old", True, 64))
        new = asking.create_task(ask("new", True, MOST_LIVE))
        await asyncio.sleep(0)
        canary = asking.create_task(ask("canary", False, 8))
    assert canary.result()
    assert not old.result()
    assert new.result()
    assert order.index("canary") < order.index("new")
    assert child.report.live_dropped > 0


async def test_closing_leaves_no_process_and_no_caller_behind(make: Make) -> None:
    child = make(READY + f"open({os.devnull!r}); work(); time.sleep(60)\n")
    await eventually(lambda: child.report.state == "ready")
    waiting = asyncio.ensure_future(child.embed(["a"]))
    await asyncio.sleep(0.05)
    await child.close()
    assert (await waiting).vectors is None
    assert child.report.state == "closed"
    assert (await child.embed(["b"])).because == "Watchtower is ending"
