"""The simulated engine under the real keeper and the real vLLM adapter: the same contract, over HTTP."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.contracts.engines import Simulated
from watchtower.adapters.keeper.launching import ensure_keeper
from watchtower.adapters.supervisor.process import keeper_plan
from watchtower.testing.adapters import SupervisorContract, eventually
from watchtower.vocabulary.errors import NotReachable
from watchtower.vocabulary.facts import CanaryOutcome


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Simulated]:
    simulated = Simulated(tmp_path)
    ensure_keeper(keeper_plan(simulated.state, simulated.settings))
    try:
        assert simulated.supervisor.start().yes
        yield simulated
    finally:
        with suppress(NotReachable):
            simulated.supervisor.stop()


class TestSimulator(SupervisorContract):
    """``live`` is the fixture above."""


def test_the_engine_adapter_sees_it_healthy_hung_and_gone(live: Simulated) -> None:
    assert eventually(lambda: live.engine.serving()[0])
    assert live.engine.serving()[1]
    assert live.canary() is CanaryOutcome.SERVED
    scrape = live.engine.scrape(1.0)
    assert scrape.ok, scrape.because
    assert scrape.generation_tokens is not None
    assert scrape.generation_tokens >= 1
    assert None not in (scrape.running, scrape.waiting, scrape.kv_cache_ratio)

    incarnation = live.supervisor.observe(0.0).incarnation
    assert incarnation is not None
    httpx.post(f"{live.url}/sim/fault", json={"kind": "hang"}).raise_for_status()
    assert live.canary(1.0) is CanaryOutcome.HUNG
    assert live.engine.serving()[0]  # green, and no evidence of health

    os.kill(int(incarnation.id), signal.SIGKILL)
    assert eventually(lambda: live.supervisor.observe(0.0).incarnation is None)
    assert live.canary(1.0) is CanaryOutcome.REFUSED
    assert not live.engine.scrape(1.0).ok
