"""The adapter reads what this vLLM really says."""

from __future__ import annotations

import pytest

from tests.e2e.stack import Stack
from watchtower.adapters.engine.vllm import VllmEngine, VllmEngineSettings
from watchtower.clock import boottime
from watchtower.vocabulary.facts import CanaryOutcome

pytestmark = [pytest.mark.real_vllm, pytest.mark.timeout(600)]


@pytest.fixture
def engine(stack: Stack) -> VllmEngine:
    return VllmEngine(VllmEngineSettings(url=stack.engine))


def test_it_serves_and_tells_its_version(stack: Stack, engine: VllmEngine) -> None:
    serving, version = engine.serving()
    assert serving
    assert version.startswith("0.")
    assert stack.status()["engine"]["version"] == version


def test_a_canary_is_served_and_the_scrape_counts_its_token(engine: VllmEngine) -> None:
    before = engine.scrape(boottime())
    assert before.ok, before.because
    assert None not in (before.running, before.waiting, before.kv_cache_ratio)
    canary = engine.canary("real", boottime(), 30.0)
    assert canary.outcome is CanaryOutcome.SERVED, canary.because
    assert before.generation_tokens is not None
    until = boottime() + 15.0  # the engine's own counters lag behind its answers
    while (after := engine.scrape(boottime()).generation_tokens) is not None and boottime() < until:
        if after >= before.generation_tokens + 1:
            return
    pytest.fail(f"{before.generation_tokens} tokens before the canary, {after} after it")
