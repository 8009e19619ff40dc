"""Nothing that runs in the background dies unseen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from watchtower.tasks import TaskGroup


class Pauses:
    """Notes how long was slept, and lets others run meanwhile."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
async def tasks(pauses: Pauses) -> AsyncIterator[TaskGroup]:
    group = TaskGroup(pauses)
    yield group
    await group.stop()


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def returns() -> None:
    return


async def fails() -> None:
    raise ValueError("no reason")


def errors(logs: list[EventDict]) -> list[EventDict]:
    return [entry for entry in logs if entry["log_level"] == "error"]


async def test_an_eternal_task_that_returns_is_an_error_that_names_it_and_it_runs_again(
    tasks: TaskGroup, pauses: Pauses
) -> None:
    lives = 0

    async def twice() -> None:
        nonlocal lives
        lives += 1
        if lives > 2:
            await asyncio.Event().wait()

    with capture_logs() as logs:
        tasks.start("tick", twice, restart_after=0.5)
        await turns()
    assert [(entry["event"], entry["task"], entry["failures"]) for entry in errors(logs)] == [
        ("eternal task returned", "tick", 1),
        ("eternal task returned", "tick", 2),
    ]
    assert tasks.failures == {"tick": 2}
    assert pauses.slept == [0.5, 0.5]
    assert tasks.running("tick")


async def test_a_task_that_nobody_starts_again_may_end_in_silence(tasks: TaskGroup) -> None:
    with capture_logs() as logs:
        tasks.start("capture", returns, restart_after=None)
        tasks.start("scorer", returns, eternal=False)
        await turns()
    assert logs == []
    assert not tasks.running("capture")
    assert not tasks.running("scorer")
    assert tasks.failures == {"capture": 0, "scorer": 0}


async def test_an_eternal_task_may_also_be_one_that_is_not_started_again(tasks: TaskGroup) -> None:
    with capture_logs() as logs:
        tasks.start("engine", returns, restart_after=None, eternal=True)
        await turns()
    assert [entry["task"] for entry in errors(logs)] == ["engine"]
    assert not tasks.running("engine")


@pytest.mark.parametrize("eternal", [True, False])
async def test_a_failure_is_logged_by_its_kind_and_the_task_runs_again(
    tasks: TaskGroup, pauses: Pauses, eternal: bool
) -> None:
    with capture_logs() as logs:
        tasks.start("scrape", fails, restart_after=2.0, eternal=eternal)
        await turns(3)
    first = errors(logs)[0]
    assert (first["event"], first["task"], first["kind"]) == ("task failed", "scrape", "ValueError")
    assert pauses.slept[0] == 2.0
    assert tasks.running("scrape")


async def test_cancelling_is_no_failure(tasks: TaskGroup) -> None:
    with capture_logs() as logs:
        tasks.start("tick", asyncio.Event().wait)  # type: ignore[arg-type]  # its True is not looked at
        await turns()
        await tasks.stop()
    assert logs == []
    assert tasks.failures == {"tick": 0}


async def test_a_name_runs_once(tasks: TaskGroup) -> None:
    tasks.start("tick", asyncio.Event().wait)  # type: ignore[arg-type]  # its True is not looked at
    with pytest.raises(RuntimeError, match="already runs"):
        tasks.start("tick", returns)


async def test_tasks_stop_newest_first(tasks: TaskGroup) -> None:
    stopped: list[str] = []

    def until_stopped(name: str) -> None:
        async def wait() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                stopped.append(name)

        tasks.start(name, wait)

    until_stopped("old")
    until_stopped("new")
    await turns()
    await tasks.stop()
    assert stopped == ["new", "old"]
