"""Another checkpoint in a real vLLM: noticed, and rolled back in place to the blessed weights."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.e2e.stack import Stack
from tests.real.conftest import Measured
from tests.real.test_cures import effective, incarnation, opened, streaming
from watchtower.clock import SystemClock
from watchtower.lab.demonstration.stage import EnginePlan
from watchtower.lab.simulator.swap import CheckpointSwap
from watchtower.programs.client import DaemonClient

pytestmark = [pytest.mark.real_vllm, pytest.mark.long, pytest.mark.timeout(600)]


@pytest_asyncio.fixture
async def swap(stack: Stack, plan: EnginePlan) -> AsyncIterator[CheckpointSwap]:
    async with httpx.AsyncClient(trust_env=False) as client:
        swap = CheckpointSwap(plan.url, SystemClock(), client, declared=plan.weights, other=plan.other_weights)
        try:
            yield swap
        finally:
            await swap.back()


def judged(stack: Stack) -> bool:
    """The references are in force and say that all is well."""
    verdicts = {rule["rule"]: rule["verdict"] for rule in stack.status()["rules"]}
    return bool(verdicts["weights_changed"] == "ok")


async def test_another_checkpoint_under_traffic_is_rolled_back_and_costs_no_request(
    stack: Stack, plan: EnginePlan, swap: CheckpointSwap, measured: Measured
) -> None:
    daemon = DaemonClient(stack.state)
    if not daemon.get("/api/v1/references")["in_force"]:
        await asyncio.to_thread(daemon.post, "/api/v1/references/capture")
    await asyncio.to_thread(stack.until, lambda: stack.api("checkpoints")["observed"], 60, "the weights were read back")
    if stack.api("checkpoints")["state"] != "blessed":
        daemon.command("bless", author="test", reason="what it was started with")
    async with streaming(stack, plan) as traffic:
        await asyncio.to_thread(stack.until, lambda: judged(stack), 240, "a clean judgement")
        before, good = await asyncio.to_thread(incarnation, stack), await swap.checksum()
        assert stack.api("checkpoints")["observed"] == good, "two eyes, one checksum"
        traffic.phase = "drift"
        injected, _, evidence = await swap.swap()
        assert evidence["checksum_after"] not in ("", good)
        seen = await opened(stack, 120)
        cure = await effective(stack, injected, plan.cure_seconds)
        after, now = await asyncio.to_thread(incarnation, stack), await swap.checksum()
    assert cure["verb"] == "rollback"
    assert now == good
    assert after == before, "in place: nothing was restarted"
    counts = traffic.counts("drift")
    measured(
        f"drift: {evidence['tensors_changed']} tensors, weights {good[:12]} → {evidence['checksum_after'][:12]} → "
        f"{now[:12]}; incident after {seen - injected:.1f} s, cured after {cure['ended_at'] - injected:.1f} s; "
        f"{counts.requests} requests, {counts.failed_requests} failed; verified by: {'; '.join(cure['verified_by'])}"
    )
    assert {phase: dict(counts.failed) for phase, counts in traffic.phases.items() if counts.failed} == {}
