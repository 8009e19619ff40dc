"""The daemon dies in the middle of a cure: clients, engine and the one effect must not notice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.stack import Stack
from watchtower.clock import SystemClock
from watchtower.lab.simulator.chats import ChatTraffic, TrafficPlan

STREAMS = 16


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path)
    try:
        yield stack
    finally:
        stack.end()


def effects(stack: Stack) -> int:
    """Engine starts that an operation asked for, from the keeper's own ledger."""
    return sum(
        b'"engine_started"' in line and b'"op_id":"op-' in line
        for line in (stack.state / "keeper.ledger").read_bytes().splitlines()
    )


@pytest.mark.timeout(300)
async def test_sigkill_in_acting_costs_no_request_and_the_next_daemon_cures_that_incident_once(
    stack: Stack,
) -> None:
    await asyncio.to_thread(stack.start)
    plan = TrafficPlan(url=stack.relay, model="tiny", concurrency=STREAMS, max_tokens=40, most_seconds=120)
    async with httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=64)) as client:
        traffic = ChatTraffic(plan, SystemClock(), client)
        running = asyncio.create_task(traffic.run())
        await asyncio.sleep(14)  # a baseline at this load
        engine_before = (await asyncio.to_thread(stack.status))["engine"]["incarnation"]
        helpers_before = stack.helpers()
        await asyncio.to_thread(stack.fault, kind="slow", factor=10, rank=2)

        def acting() -> bool:
            status = stack.status()
            return bool(status["incident"]) and status["incident"]["state"] == "acting" and status["relay"]["open"] > 0

        await asyncio.to_thread(stack.until, acting, 40, "acting, with streams open")
        status = await asyncio.to_thread(stack.status)
        incident, open_streams = status["incident"]["id"], status["relay"]["open"]
        assert open_streams + status["relay"]["parked"] >= STREAMS - 4, "the streams are in mid-answer or parked"
        await asyncio.to_thread(stack.kill)

        await asyncio.sleep(2)
        assert stack.helpers() == helpers_before, "relay and keeper outlive the daemon"
        state = (await client.get(f"{stack.engine}/sim/state")).json()
        assert str(state["pid"]) == engine_before["id"], "the engine did not notice"

        await asyncio.to_thread(stack.start)
        assert (await asyncio.to_thread(stack.status))["incident"]["id"] == incident

        def cured() -> bool:
            return any(action["state"] == "effective" for action in stack.api("actions")["actions"])

        await asyncio.to_thread(stack.until, cured, 70, "an effective cure")
        traffic.stop()
        await running

    actions = (await asyncio.to_thread(stack.api, "actions"))["actions"]
    assert {action["incident"] for action in actions} == {incident}
    assert effects(stack) == 1
    assert traffic.phases["baseline"].failed == {}, traffic.phases
