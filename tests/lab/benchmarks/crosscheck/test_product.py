"""The product before a simulated engine: what was asked of it through the relay is what its doors show."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import httpx
import pytest

from watchtower.clock import SystemClock
from watchtower.lab.benchmarks.crosscheck.differences import HISTOGRAMS, READINGS, RECORDING
from watchtower.lab.benchmarks.crosscheck.measured import Definition
from watchtower.lab.benchmarks.crosscheck.product import running_product
from watchtower.lab.benchmarks.process_costs import accepts, end
from watchtower.lab.benchmarks.proxies import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
REQUESTS, TOKENS = 6, 8


async def test_every_door_counts_what_was_asked(tmp_path: Path) -> None:
    clock, port = SystemClock(), free_port()
    engine = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "watchtower.programs.simulator", "--host", "127.0.0.1", "--port", str(port)
    )
    try:
        assert await accepts(port, clock, 20)
        async with (
            running_product(f"http://127.0.0.1:{port}", "tiny", tmp_path, 60.0, clock) as product,
            httpx.AsyncClient(timeout=30, trust_env=False) as client,
        ):
            before, since = await product.scrape(client), clock.now().wall
            for number in range(REQUESTS):
                body = {"model": "tiny", "prompt": f"{number}", "max_tokens": TOKENS, "stream": True}
                body["stream_options"] = {"include_usage": True, "continuous_usage_stats": True}
                (await client.post(f"{product.relay}/v1/completions", json=body)).raise_for_status()
            figures = await product.figures(client, before, since, clock)
    finally:
        await end(engine)
    assert set(figures) == {READINGS, HISTOGRAMS, RECORDING}
    recorded = figures[RECORDING]
    assert (recorded.requests, recorded.output_tokens) == (REQUESTS, REQUESTS * TOKENS)
    assert recorded.distributions[Definition.MEAN_GAP].count == REQUESTS
    assert figures[HISTOGRAMS].distributions[Definition.FIRST_TOKEN].count == REQUESTS
