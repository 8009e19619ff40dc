"""Requests that come however slow the engine is: a sick engine piles them up, and is cured all the same."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.stack import Stack

ARRIVALS = 12.0
"""Requests a second: a third of what the engine can, twice what it can when slowed by FACTOR."""
MOST_OPEN = 150
FACTOR = 6
TOKENS = 40
CALM_SECONDS = 12


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path)
    try:
        yield stack
    finally:
        stack.end()


class OpenLoop:
    """Poisson arrivals at a fixed rate until ``stop``, none past MOST_OPEN; ``outcomes`` counts how answers ended."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client, self._url = client, url
        self._stopping = asyncio.Event()
        self.outcomes: Counter[str] = Counter()
        self.most_open = 0

    async def run(self) -> None:
        rng, sent, open_now = random.Random(7), 0, set[asyncio.Task[None]]()
        while not self._stopping.is_set():
            await asyncio.sleep(rng.expovariate(ARRIVALS))
            if len(open_now) >= MOST_OPEN:
                continue
            task = asyncio.create_task(self._ask(sent))
            open_now.add(task)
            task.add_done_callback(open_now.discard)
            sent, self.most_open = sent + 1, max(self.most_open, len(open_now))
        await asyncio.gather(*open_now)

    def stop(self) -> None:
        self._stopping.set()

    async def _ask(self, number: int) -> None:
        body = {
            "model": "tiny",
            "messages": [{"role": "user", "content": f"What is the weather on day {number}?"}],
            "max_tokens": TOKENS,
            "stream": True,
        }
        try:
            answer = await self._client.post(f"{self._url}/v1/chat/completions", json=body)
            whole = answer.status_code == 200 and "data: [DONE]" in answer.text
            self.outcomes["whole" if whole else f"http {answer.status_code}"] += 1
        except httpx.HTTPError as problem:
            self.outcomes[type(problem).__name__] += 1


def calm(stack: Stack) -> None:
    """Wait until all was well for as long as the baseline of this load takes to stand. UNKNOWN stops the count."""
    counted = 0

    def well() -> bool:
        nonlocal counted
        time.sleep(0.4)
        status = stack.status()
        verdict = next(rule["verdict"] for rule in status["rules"] if rule["rule"] == "slow_tokens")
        counted = 0 if status["incident"] or verdict == "breach" else counted + (verdict == "ok")
        return counted >= CALM_SECONDS / 0.5

    stack.until(well, 60, "calm, for a baseline at this load")


@pytest.mark.timeout(300)
async def test_a_sickness_that_piles_up_requests_is_not_taken_for_load(stack: Stack) -> None:
    await asyncio.to_thread(stack.start)
    limits = httpx.Limits(max_connections=MOST_OPEN + 10)
    async with httpx.AsyncClient(timeout=None, limits=limits) as client:
        traffic = OpenLoop(client, stack.relay)
        running = asyncio.create_task(traffic.run())
        await asyncio.to_thread(calm, stack)
        open_before = traffic.most_open
        await asyncio.to_thread(stack.fault, kind="slow", factor=FACTOR, rank=1)

        def cured() -> bool:
            return any(action["state"] == "effective" for action in stack.api("actions")["actions"])

        await asyncio.to_thread(stack.until, cured, 60, "an effective cure")
        traffic.stop()
        await asyncio.wait_for(running, 60)
    assert traffic.most_open > 2 * open_before, "the sickness piled requests up beyond anything seen before"
    assert set(traffic.outcomes) == {"whole"}, traffic.outcomes
