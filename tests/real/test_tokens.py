"""What is counted of a real stream, against what the engine itself says it generated."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import pytest_asyncio

from tests.e2e.stack import Stack
from tests.real.conftest import Measured
from watchtower.clock import SystemClock
from watchtower.services.relaying.relay_pool import RelayPool
from watchtower.settings import RelaySettings
from watchtower.vocabulary.facts import Ending, ExchangeNews, RelayEnded, RelayFrame, RelayGone, RelayHello

pytestmark = [pytest.mark.real_vllm, pytest.mark.timeout(600)]
EXACT: dict[str, Any] = {"include_usage": True, "continuous_usage_stats": True}
REQUESTS = 6
TOKENS = 40


async def streamed(client: httpx.AsyncClient, url: str, prompt: str, **options: Any) -> int:
    """One streamed answer of TOKENS tokens; the completion tokens its last usage tells, 0 when none is told."""
    told = 0
    asked = {"messages": [{"role": "user", "content": prompt}], "max_tokens": TOKENS, "ignore_eos": True}
    body = {"model": "tiny", "stream": True, **asked, **options}
    async with client.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=60) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                usage = json.loads(line[6:]).get("usage")
                told = usage["completion_tokens"] if usage else told
    return told


class Worker:
    """One relay worker before the engine, whose facts we keep."""

    def __init__(self, relays: RelayPool, news: list[ExchangeNews]) -> None:
        self.relays, self._news = relays, news

    @property
    def url(self) -> str:
        return f"http://{self.relays.address}"

    async def ended(self, exchanges: int) -> dict[str, list[ExchangeNews]]:
        """News by exchange, once so many have ended."""
        async with asyncio.timeout(10):
            while sum(news.closed is not None for news in self._news) < exchanges:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        found: dict[str, list[ExchangeNews]] = {}
        for news in self._news:
            found.setdefault(news.id, []).append(news)
        return found


@pytest_asyncio.fixture
async def worker(stack: Stack, tmp_path: Path) -> AsyncIterator[Worker]:
    news: list[ExchangeNews] = []

    def keep(fact: RelayHello | RelayFrame | RelayGone | RelayEnded) -> None:
        if isinstance(fact, RelayFrame):
            news.extend(fact.news)

    relays = RelayPool(
        RelaySettings(listen="127.0.0.1:0"), stack.engine, tmp_path, keep, SystemClock(), drain_seconds=1
    )
    await relays.start()
    try:
        yield Worker(relays, news)
    finally:
        await relays.stop(leave_running=False)


def counted(news: list[ExchangeNews]) -> int:
    return sum(part.first_tokens + sum(part.tokens) for part in news)


async def test_continuous_usage_makes_the_count_of_every_exchange_exact(worker: Worker, measured: Measured) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        told = await asyncio.gather(
            *(streamed(client, worker.url, f"exact {number}", stream_options=EXACT) for number in range(REQUESTS))
        )
    exchanges = await worker.ended(REQUESTS)
    assert told == [TOKENS] * REQUESTS
    assert [counted(news) for news in exchanges.values()] == told
    assert not any(part.estimated for news in exchanges.values() for part in news)
    endings = [part.closed for news in exchanges.values() for part in news if part.closed is not None]
    assert [(end.ending, end.completion_tokens) for end in endings] == [(Ending.COMPLETE, TOKENS)] * REQUESTS
    reads = REQUESTS + sum(len(part.gaps_ns) for news in exchanges.values() for part in news)
    measured(f"tokens: {sum(told)} told by usage, as many counted, in {reads} reads; none estimated")


async def test_without_usage_the_count_is_marked_as_estimated(worker: Worker, measured: Measured) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        assert await streamed(client, worker.url, "estimated") == 0
    (news,) = (await worker.ended(1)).values()
    assert any(part.estimated for part in news)
    assert 0 < counted(news) <= TOKENS, "an event with text counts as one token; text may lag behind tokens"
    measured(f"tokens without usage: {counted(news)} estimated of {TOKENS}")


async def test_a_client_that_hangs_up_after_done_had_its_whole_answer(worker: Worker) -> None:
    async with openai.AsyncOpenAI(base_url=f"{worker.url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        for number in range(REQUESTS):
            chunks = await client.completions.create(model="tiny", prompt=f"bye {number}", max_tokens=8, stream=True)
            assert [chunk.choices[0].finish_reason async for chunk in chunks][-1] is not None
    exchanges = await worker.ended(REQUESTS)
    endings = [part.closed.ending for news in exchanges.values() for part in news if part.closed is not None]
    assert endings == [Ending.COMPLETE] * REQUESTS


def histogram_counts(stack: Stack) -> tuple[float, float]:
    """(tokens after a first one, first tokens) that the daemon counted so far, over all models."""
    lines = stack.http.get(f"{stack.web}/metrics").text.splitlines()
    families = ("inter_token_latency", "time_to_first_token")
    after, first = (
        sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"watchtower_{family}_seconds_count"))
        for family in families
    )
    return after, first


async def test_the_daemons_histograms_hold_the_tokens_after_each_first_read(stack: Stack, measured: Measured) -> None:
    after, first = await asyncio.to_thread(histogram_counts, stack)
    told = 0
    async with httpx.AsyncClient(trust_env=False) as client:
        for number in range(REQUESTS):
            told += await streamed(client, stack.relay, f"histogram {number}", stream_options=EXACT)
    await asyncio.sleep(2.5)  # facts travel every 50 ms, the board is renewed every second
    after_now, first_now = await asyncio.to_thread(histogram_counts, stack)
    assert first_now - first == REQUESTS
    # On a busy machine a first read may carry several tokens; they have one time to first token and no gap.
    assert told / 2 <= after_now - after <= told - REQUESTS
    measured(f"histograms: {told} tokens told by usage, {after_now - after:.0f} with a gap in {REQUESTS} answers")
