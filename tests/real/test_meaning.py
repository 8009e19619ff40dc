"""References on a real vLLM: the same checkpoint loaded again changes nothing; another one is noticed in one round.

Weights are loaded through the engine's own reload route while requests are frozen (pause mode ``keep``), and the prefix
cache is reset before they go on. Watchtower is paused meanwhile: what it sees is the subject here, not what it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.e2e.stack import Stack
from tests.real.conftest import Measured
from tests.real.test_cures import streaming
from watchtower.clock import boottime
from watchtower.demonstration.stage import EnginePlan
from watchtower.programs.client import DaemonClient
from watchtower.simulator.vllm_cpu import engine as vllm

pytestmark = [pytest.mark.real_vllm, pytest.mark.long, pytest.mark.timeout(600)]
RELOADS = 10


@pytest.fixture(scope="module")
def daemon(stack: Stack) -> Iterator[DaemonClient]:
    """References are captured; no cure begins."""
    daemon = DaemonClient(stack.state)
    daemon.command("pause", author="test", reason="weights are changed on purpose", seconds=1200)
    daemon.post("/api/v1/references/capture")
    stack.until(lambda: capture(daemon)["state"] != "running", 240, "the end of the capture")
    assert capture(daemon)["state"] == "done", capture(daemon)["because"]
    yield daemon
    daemon.command("resume", author="test", reason="")


@pytest.fixture(scope="module")
def checkpoints(plan: EnginePlan) -> tuple[Path, Path]:
    """The one that is served, and another."""
    environment = vllm.install()
    served, other = (environment.parent / f"tiny-checkpoint-{seed}" for seed in (0, 1))
    return served, vllm.checkpoint(other, 1, environment)


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        yield client


def capture(daemon: DaemonClient) -> dict[str, Any]:
    now: dict[str, Any] = daemon.get("/api/v1/references")["capture"]
    return now


async def load(http: httpx.AsyncClient, stack: Stack, weights: Path) -> None:
    call = {"method": "reload_weights", "kwargs": {"weights_path": str(weights)}}
    for path, body in (
        ("pause?mode=keep", None),
        ("collective_rpc", call),
        ("reset_prefix_cache", None),
        ("resume", None),
    ):
        (await http.post(f"{stack.engine}/{path}", json=body)).raise_for_status()


async def rounds(http: httpx.AsyncClient, stack: Stack) -> dict[str, float]:
    """Rounds so far, by result."""
    text = (await http.get(f"{stack.web}/metrics")).text
    named = "watchtower_reference_rounds_total{result="
    lines = [line for line in text.splitlines() if line.startswith(named)]
    return {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in lines}


async def after_rounds(http: httpx.AsyncClient, stack: Stack, count: int) -> dict[str, float]:
    """What ``count`` further whole rounds said."""
    before = await rounds(http, stack)
    async with asyncio.timeout(180):
        while True:
            now = await rounds(http, stack)
            more = {result: now[result] - before[result] for result in now}
            if more["clean"] + more["changed"] >= count:
                return more
            await asyncio.sleep(0.2)


def reading(stack: Stack, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in stack.status()["readings"] if one["name"] == name)
    return found


async def shifted(stack: Stack) -> dict[str, Any]:
    """The reading once it has moved. The demo's window is shorter than a round of a busy engine: it may be empty."""
    async with asyncio.timeout(60):
        while not (found := reading(stack, "logprob_shift.mean"))["value"]:  # noqa: ASYNC110 - a process is polled
            await asyncio.sleep(0.2)
    return found


async def test_the_same_checkpoint_loaded_ten_times_under_load_changes_nothing(
    stack: Stack,
    plan: EnginePlan,
    daemon: DaemonClient,
    checkpoints: tuple[Path, Path],
    http: httpx.AsyncClient,
    measured: Measured,
) -> None:
    async with streaming(stack, plan) as traffic:
        assert (await after_rounds(http, stack, 1))["changed"] == 0
        for _ in range(RELOADS):
            await load(http, stack, checkpoints[0])
            await asyncio.sleep(1)
        after = await after_rounds(http, stack, 2)
    shift = reading(stack, "logprob_shift.mean")
    assert after["changed"] == 0 and after["clean"] >= 2, after
    assert traffic.counts(traffic.phase).failed_requests == 0
    measured(f"{RELOADS} reloads of the same checkpoint under load: no round changed, shift {shift['value']} nats")


async def test_another_checkpoint_is_noticed_within_one_round_and_named(
    stack: Stack,
    plan: EnginePlan,
    daemon: DaemonClient,
    checkpoints: tuple[Path, Path],
    http: httpx.AsyncClient,
    measured: Measured,
) -> None:
    async with streaming(stack, plan):
        await after_rounds(http, stack, 1)
        began = boottime()
        await load(http, stack, checkpoints[1])
        try:
            first = await after_rounds(http, stack, 1)
            noticed = boottime() - began
            second = await after_rounds(http, stack, 1)
            shift = await shifted(stack)
            opened = stack.api("incidents")["incidents"][0]
        finally:
            await load(http, stack, checkpoints[0])
        # the round under way while the weights were swapped may be a mixture; the next is all of the other ones
        assert first["changed"] + second["changed"] >= 1 and second["changed"] >= 1
        assert "other weights" in shift["detail"] and shift["value"] > 0.1
        assert "weights_changed" in opened["rules"]
        await after_rounds(http, stack, 1)
        assert (await after_rounds(http, stack, 1))["changed"] == 0, "the old weights are the blessed ones again"
    how = "at once" if first["changed"] else "by the next round"
    measured(
        f"another checkpoint: noticed {how}, first round after it ended at {noticed:.1f} s, {shift['value']:.2f} nats"
    )
