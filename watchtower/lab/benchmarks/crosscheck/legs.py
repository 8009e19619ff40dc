"""Every tool's work, one after the other: directly and through the relay, on each route, in each round.

The engine is a real vLLM with random weights, larger than the demo's so that a step takes about as long as on a real
server, and bound to one core. All tools ask for the same: prompts and answers of one length, and only tokens that are
text by themselves: a token that ends inside a character has an event without text, which tools count in three ways.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from watchtower.lab.benchmarks.crosscheck.aiperf import Aiperf
from watchtower.lab.benchmarks.crosscheck.differences import DIRECT, RELAYED, CrosscheckLeg
from watchtower.lab.benchmarks.crosscheck.engine_figures import engine_figures, scrape
from watchtower.lab.benchmarks.crosscheck.guidellm import Guidellm
from watchtower.lab.benchmarks.crosscheck.product import Product, running_product
from watchtower.lab.benchmarks.crosscheck.trusted_tools import PATHS, ToolWork, TrustedTool, environment
from watchtower.lab.benchmarks.crosscheck.vllm_bench import VllmBench
from watchtower.lab.benchmarks.host import Machine, this_machine
from watchtower.lab.benchmarks.proxies import free_port
from watchtower.lab.simulator.vllm_cpu import engine as vllm
from watchtower.lab.simulator.vllm_cpu.vllm_process import running_vllm
from watchtower.ports import Clock
from watchtower.vocabulary.errors import NotReachable

TOOLS: Final[tuple[TrustedTool, ...]] = (Aiperf(), Guidellm(), VllmBench())
_TOOL_SECONDS: Final = 600.0
_WARM_REQUESTS: Final = 60
"""More than end the warm-up of an engine (``remediation.warmup_requests``)."""
_PLAIN_TOKENS: Final = 64
_LAST_LINES: Final = 12


class CrosscheckPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The work, as ``watchtower bench crosscheck`` takes it."""

    tools: tuple[str, ...] = tuple(tool.name for tool in TOOLS)
    routes: tuple[str, ...] = tuple(PATHS)
    requests: int = 100
    at_once: int = 4
    prompt_tokens: int = 128
    output_tokens: int = 64
    rounds: int = 1
    window_seconds: float = 120.0
    """Of the gauges: longer than a leg takes, and waited for between two legs through the relay."""
    relay_lag_seconds: float = 0.005
    """``evidence.relay_lag_seconds``, at its default. Where engine, tool and relay share a few cores, the relay is late
    more often than that, and the gauges rightly say nothing."""


class Crosscheck(msgspec.Struct, frozen=True, kw_only=True):
    plan: CrosscheckPlan
    machine: Machine
    legs: list[CrosscheckLeg]


async def crosscheck(plan: CrosscheckPlan, clock: Clock, tell: Callable[[str], None]) -> Crosscheck:
    """Install what is missing, run every leg, end what was started. Raises NotReachable, NoVllm."""
    tools = [tool for tool in TOOLS if tool.name in plan.tools]
    places = {tool.name: await asyncio.to_thread(environment, tool, vllm.venv(), tell) for tool in tools}
    machine = this_machine({tool.name: tool.version for tool in tools})
    with tempfile.TemporaryDirectory(prefix="wt-crosscheck-") as name:
        directory = Path(name)
        tell("starting vLLM on the CPU (a minute)")
        async with (
            running_vllm(free_port(), directory / "vllm.log", clock, *vllm.LARGER) as engine,
            running_product(
                engine.url, vllm.MODEL, directory, plan.window_seconds, clock, plan.relay_lag_seconds
            ) as product,
            httpx.AsyncClient(timeout=60, trust_env=False) as client,
        ):
            extra = {"allowed_token_ids": plain_tokens(engine.weights)}
            bench = _Bench(plan, clock, client, engine.url, product, directory, extra)
            tell("warming up")
            await bench.warm_up()
            legs = []
            for round_ in range(1, plan.rounds + 1):
                for route in plan.routes:
                    for tool in tools:
                        for way in (DIRECT, RELAYED):
                            tell(f"round {round_} of {plan.rounds}: {tool.name}, {route}, {way}")
                            work = bench.work(way, route, str(engine.weights))
                            legs.append(await bench.leg(tool, places[tool.name], work, way, round_))
    return Crosscheck(plan=plan, machine=machine, legs=legs)


def plain_tokens(weights: Path) -> list[int]:
    """Ids of tokens of a checkpoint that are ASCII words by themselves, whatever stands beside them."""
    vocabulary: dict[str, int] = json.loads((weights / "tokenizer.json").read_text())["model"]["vocab"]
    word = re.compile("Ġ[A-Za-z]{3,}")
    return sorted(id for token, id in vocabulary.items() if word.fullmatch(token))[:_PLAIN_TOKENS]


class _Bench:
    """What all legs share."""

    def __init__(
        self, plan: CrosscheckPlan, clock: Clock, client: httpx.AsyncClient, engine: str, product: Product,
        directory: Path, extra: dict[str, Any],
    ) -> None:  # fmt: skip
        self._plan = plan
        self._clock = clock
        self._client = client
        self._engine = engine
        self._product = product
        self._directory = directory
        self._extra = extra
        self._relayed_until = 0.0
        """When the newest leg through the relay ended, boot clock."""

    def work(self, way: str, route: str, tokenizer: str) -> ToolWork:
        plan = self._plan
        return ToolWork(
            url=self._engine if way == DIRECT else self._product.relay,
            model=vllm.MODEL,
            tokenizer=tokenizer,
            route=route,
            requests=plan.requests,
            at_once=plan.at_once,
            prompt_tokens=plan.prompt_tokens,
            output_tokens=plan.output_tokens,
            extra=self._extra,
        )

    async def warm_up(self) -> None:
        """Through the relay: the engine's first answers are slow, and until so many were served no gauge speaks."""
        body = {"model": vllm.MODEL, "prompt": "warm", "max_tokens": 2, "stream": True}
        for _ in range(_WARM_REQUESTS):
            (await self._client.post(f"{self._product.relay}/v1/completions", json=body)).raise_for_status()
        self._relayed_until = self._clock.now().boot

    async def leg(self, tool: TrustedTool, place: Path, work: ToolWork, way: str, round_: int) -> CrosscheckLeg:
        relayed = way == RELAYED
        if relayed:  # nothing of the leg before may be left in the window
            rest = self._relayed_until + self._product.window_seconds - self._clock.now().boot
            await self._clock.sleep(max(0.0, rest))
        directory = Path(tempfile.mkdtemp(dir=self._directory))
        engine_before, own_before = await scrape(self._client, self._engine), await self._product.scrape(self._client)
        since = self._clock.now().wall
        await run_tool(tool, tool.command(place, work, directory), directory)
        self._relayed_until = self._clock.now().boot if relayed else self._relayed_until
        ours = await self._product.figures(self._client, own_before, since, self._clock) if relayed else {}
        return CrosscheckLeg(
            tool=tool.name,
            route=work.route,
            way=way,
            round=round_,
            theirs=tool.figures(directory),
            engine=engine_figures(engine_before, await scrape(self._client, self._engine)),
            ours=ours,
        )


async def run_tool(tool: TrustedTool, command: list[str], directory: Path) -> None:
    """To its end, in a session of its own, which is ended with it. Raises NotReachable with its last words."""
    log = directory / "tool.log"
    # not HF_HUB_OFFLINE: with it aiperf takes no directory for a tokenizer
    silent = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "NO_PROXY": "127.0.0.1"}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=directory,
            env={**os.environ, **silent},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        status = await asyncio.wait_for(process.wait(), _TOOL_SECONDS)
    except TimeoutError:
        status = -1
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    if status != 0:
        raise _failed(tool.name, status, log)


def _failed(name: str, status: int, log: Path) -> NotReachable:
    said = "\n".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
    return NotReachable(f"{name} {'did not end in time' if status < 0 else f'ended with {status}'}:\n{said}")
