"""References on a real vLLM: the same checkpoint loaded again changes nothing; another one is told apart in one round.

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
from watchtower.lab.demonstration.stage import EnginePlan
from watchtower.lab.simulator.vllm_cpu import engine as vllm
from watchtower.programs.client import DaemonClient

pytestmark = [pytest.mark.real_vllm, pytest.mark.long, pytest.mark.timeout(600)]
RELOADS = 10
MEANING = ("weights_changed", "numerics_changed", "answers_differ", "answers_malformed", "meaning_drift")


@pytest.fixture(scope="module")
def daemon(stack: Stack, checkpoints: dict[str, Path]) -> Iterator[DaemonClient]:
    """References are captured, all checkpoints lie ready; no cure begins."""
    daemon = DaemonClient(stack.state)
    daemon.command("pause", author="test", reason="weights are changed on purpose", seconds=1200)
    daemon.post("/api/v1/references/capture")
    stack.until(lambda: capture(daemon)["state"] != "running", 240, "the end of the capture")
    assert capture(daemon)["state"] == "done", capture(daemon)["because"]
    yield daemon
    daemon.command("resume", author="test", reason="")


@pytest.fixture(scope="module")
def checkpoints(plan: EnginePlan) -> dict[str, Path]:
    """The one that is served (``same``), two that were made from it, and one that was not."""
    environment = vllm.install()
    home, served = environment.parent, Path(plan.weights)
    found = {kind: vllm.changed(home / f"{served.name}-{kind}", kind, served, environment) for kind in vllm.CHANGES}
    return {"same": served, "other": Path(plan.other_weights), **found}


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
    found: dict[str, Any] = next(reading for reading in stack.status()["readings"] if reading["name"] == name)
    return found


def breaches(stack: Stack) -> dict[str, str]:
    """Rules about meaning in breach → what each says."""
    return {
        rule["rule"]: rule["sentence"]
        for rule in stack.status()["rules"]
        if rule["rule"] in MEANING and rule["verdict"] == "breach"
    }


async def checksums(http: httpx.AsyncClient, stack: Stack) -> dict[str, str]:
    """What the engine says of its tensors. Its build for the CPU hashes no data of most of them."""
    answer = await http.post(f"{stack.engine}/weight_checker", json={"action": "checksum"})
    found: dict[str, str] = answer.json()["checksums"]
    return found


async def test_the_same_checkpoint_loaded_ten_times_under_load_changes_nothing(
    stack: Stack,
    plan: EnginePlan,
    daemon: DaemonClient,
    checkpoints: dict[str, Path],
    http: httpx.AsyncClient,
    measured: Measured,
) -> None:
    async with streaming(stack, plan) as traffic:
        assert (await after_rounds(http, stack, 1))["changed"] == 0
        for _ in range(RELOADS):
            await load(http, stack, checkpoints["same"])
            await asyncio.sleep(1)
        after = await after_rounds(http, stack, 2)
        shift, found = reading(stack, "logprob_shift.mean"), breaches(stack)
    assert after["changed"] == 0 and after["clean"] >= 2, after
    assert found == {} and shift["detail"] == "", (found, shift)
    assert traffic.counts(traffic.phase).failed_requests == 0
    measured(f"{RELOADS} reloads of the same checkpoint under load: no round changed, shift {shift['value']} nats")


@pytest.mark.parametrize(
    ("kind", "rule", "cause"),
    [
        ("int8", "numerics_changed", "compute differently"),
        ("zeroed", "weights_changed", "other weights"),
        ("other", "weights_changed", "other weights"),
    ],
)
async def test_another_checkpoint_is_told_apart_within_one_round_and_its_cause_named(
    kind: str,
    rule: str,
    cause: str,
    stack: Stack,
    plan: EnginePlan,
    daemon: DaemonClient,
    checkpoints: dict[str, Path],
    http: httpx.AsyncClient,
    measured: Measured,
) -> None:
    async with streaming(stack, plan):
        await after_rounds(http, stack, 1)
        good = await checksums(http, stack)
        began = boottime()
        await load(http, stack, checkpoints[kind])
        try:
            first = await after_rounds(http, stack, 1)
            noticed = boottime() - began
            second = await after_rounds(http, stack, 1)
            await asyncio.to_thread(stack.until, lambda: rule in breaches(stack), 60, f"a breach of {rule}")
            found, shift = breaches(stack), reading(stack, "logprob_shift.mean")
            excess, cached = reading(stack, "logprob_shift.excess"), reading(stack, "cache_agreement.mean")
            hashed = await checksums(http, stack)
        finally:
            await load(http, stack, checkpoints["same"])
        await after_rounds(http, stack, 1)
        again = await after_rounds(http, stack, 1)
    differ = sum(hashed[name] != good[name] for name in good)
    how = "at once" if first["changed"] else "by the next round"
    measured(
        f"{kind}: noticed {how}, the first round after it ended at {noticed:.1f} s; {shift['value']:.5f} nats, "
        f"{excess['value']:.1f} times what its own noise allows; cached answers agree to {cached['value']}; "
        f"{differ} of {len(good)} checksums differ; {found}"
    )
    # the round under way while the weights were swapped may be a mixture; the next is all of the new ones
    assert second == {"clean": 0, "changed": 1, "unclear": 0, "skipped": 0}
    assert all(cause in sentence for sentence in found.values()), found
    assert {"numerics_changed", "weights_changed"} & set(found) == {rule}, "one of the two, never both"
    assert again["changed"] == 0, "the old weights are the blessed ones again"
