"""Faults of a real process tree under streaming traffic: noticed, cured by a real restart, and the cure proven."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.e2e.stack import Stack
from tests.real.conftest import Measured
from watchtower.adapters.engine.vllm import VllmEngine, VllmEngineSettings
from watchtower.clock import SystemClock, boottime
from watchtower.lab.demonstration.stage import EnginePlan
from watchtower.lab.simulator.chats import ChatTraffic, TrafficPlan
from watchtower.lab.simulator.faults import Proof, WorkerFaults
from watchtower.lab.simulator.procfs import ProcessInfo, process, tree
from watchtower.vocabulary.facts import CanaryOutcome

pytestmark = [pytest.mark.real_vllm, pytest.mark.long, pytest.mark.timeout(420)]
CALM_SECONDS = 20.0
"""Healthy traffic before a fault: as long as the load baseline of profile demo takes to stand."""


@pytest_asyncio.fixture
async def faults(stack: Stack) -> AsyncIterator[WorkerFaults]:
    faults = WorkerFaults(lambda: int(incarnation(stack)["id"]), SystemClock())
    try:
        yield faults
    finally:
        await faults.clear()


@asynccontextmanager
async def streaming(stack: Stack, plan: EnginePlan) -> AsyncIterator[ChatTraffic]:
    """The demo's traffic through the relay; it ends with all its requests answered."""
    traffic_plan = TrafficPlan(
        url=stack.relay,
        model=plan.model,
        concurrency=plan.callers,
        max_tokens=plan.max_tokens,
        think_seconds=0.1,
        request_seconds=plan.cure_seconds,
        most_seconds=2 * plan.cure_seconds,
    )
    async with httpx.AsyncClient(timeout=None, trust_env=False) as client:
        traffic = ChatTraffic(traffic_plan, SystemClock(), client)
        running = asyncio.create_task(traffic.run())
        try:
            yield traffic
            traffic.stop()
            await running
        finally:
            running.cancel()


def incarnation(stack: Stack) -> dict[str, str]:
    found: dict[str, str] = stack.status()["engine"]["incarnation"]
    return found


async def calm(stack: Stack) -> None:
    """CALM_SECONDS in sum without an incident and with both rules OK; UNKNOWN pauses the count, a breach resets it."""
    counted, last = 0.0, boottime()

    def enough() -> bool:
        nonlocal counted, last
        status, now = stack.status(), boottime()
        passed, last = now - last, now
        verdicts = {rule["verdict"] for rule in status["rules"] if rule["rule"] in ("slow_tokens", "hang")}
        if status["incident"] is not None or "breach" in verdicts:
            counted = 0.0
        elif verdicts == {"ok"}:
            counted += passed
        return counted >= CALM_SECONDS

    await asyncio.to_thread(stack.until, enough, 180, f"{CALM_SECONDS:g} s of calm under healthy traffic")


async def effective(stack: Stack, since: float, seconds: float) -> dict[str, Any]:
    """The action that cured what was injected at ``since``. An incident that is left to a person is not cured."""

    def cures() -> list[dict[str, Any]]:
        incident, actions = stack.status()["incident"], stack.api("actions")["actions"]
        assert incident is None or incident["state"] != "escalated", incident
        return [action for action in actions if action["started_at"] >= since and action["state"] == "effective"]

    await asyncio.to_thread(stack.until, cures, seconds, "an effective cure")
    return (await asyncio.to_thread(cures))[0]


def left_of(members: list[ProcessInfo]) -> list[str]:
    """Which of these very processes still run."""
    now = [(member, process(member.pid)) for member in members]
    return [was.title for was, still in now if still and still.started == was.started and still.state != "Z"]


def told(proof: Proof, cure: dict[str, Any], opened: float, traffic: ChatTraffic, before: Any, after: Any) -> str:
    counts = traffic.counts(proof.fault)
    return (
        f"{proof.fault}: {proof.evidence['process']} (pid {proof.evidence['pid']}) {proof.evidence['state']}; "
        f"incident after {opened - proof.injected_at:.1f} s, cured after {cure['ended_at'] - proof.injected_at:.1f} s; "
        f"{before['id']} started {before['started']} → {after['id']} started {after['started']}; "
        f"{counts.requests} requests, {counts.failed_requests} failed; verified by: {'; '.join(cure['verified_by'])}"
    )


async def opened(stack: Stack, seconds: float) -> float:
    """When the API first shows an incident beyond mere suspicion, CLOCK_BOOTTIME seconds."""

    def is_open() -> bool:
        incident = stack.status()["incident"]
        return incident is not None and incident["state"] not in ("suspect", "recovering", "resolved")

    await asyncio.to_thread(stack.until, is_open, seconds, "an incident")
    return boottime()


async def test_a_slowed_worker_is_cured_by_a_restart_that_costs_no_request(
    stack: Stack, plan: EnginePlan, faults: WorkerFaults, measured: Measured
) -> None:
    async with streaming(stack, plan) as traffic:
        await calm(stack)
        before = await asyncio.to_thread(incarnation, stack)
        members = tree(int(before["id"]))
        traffic.phase = "slow"
        proof = await faults.slow()
        seen = await opened(stack, 60)
        cure = await effective(stack, proof.injected_at, plan.cure_seconds)
        after = await asyncio.to_thread(incarnation, stack)
    assert after != before
    assert left_of(members) == []
    assert cure["verified_by"]
    measured(told(proof, cure, seen, traffic, before, after))
    assert {phase: dict(counts.failed) for phase, counts in traffic.phases.items() if counts.failed} == {}
    assert traffic.counts("slow").requests > plan.callers


async def test_a_stopped_worker_hangs_behind_a_green_health_and_a_restart_cures_it(
    stack: Stack, plan: EnginePlan, faults: WorkerFaults, measured: Measured
) -> None:
    engine = VllmEngine(VllmEngineSettings(url=stack.engine, model=plan.model))
    async with streaming(stack, plan) as traffic:
        await calm(stack)
        before = await asyncio.to_thread(incarnation, stack)
        members = tree(int(before["id"]))
        assert len([member for member in members if member.title.startswith("VLLM::Worker")]) == 2
        traffic.phase = "hang"
        proof = await faults.hang()
        canary = await asyncio.to_thread(engine.canary, "in-the-hang", boottime(), 3.0)
        green, _ = await asyncio.to_thread(engine.serving)
        assert (canary.outcome, green) == (CanaryOutcome.HUNG, True)
        seen = await opened(stack, 60)
        cure = await effective(stack, proof.injected_at, plan.cure_seconds)
        after = await asyncio.to_thread(incarnation, stack)
        asked = traffic.counts("hang").requests
        async with asyncio.timeout(30):
            while traffic.counts("hang").requests < asked + plan.callers:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    assert after != before
    assert left_of(members) == []
    assert cure["verified_by"]
    measured(told(proof, cure, seen, traffic, before, after))
    # What the hung engine held is lost with it, and nothing else: one request a caller at most.
    assert sum(counts.failed_requests for counts in traffic.phases.values()) <= plan.callers
    served = await asyncio.to_thread(engine.canary, "after-the-cure", boottime(), 30.0)
    assert served.outcome is CanaryOutcome.SERVED
