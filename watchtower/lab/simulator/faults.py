"""Breaking an engine on purpose, and proving that it is broken.

Two injectors with the same three verbs. ``SimulatorFaults`` asks the simulated engine; ``WorkerFaults`` brakes one
tensor-parallel worker of a real vLLM that runs on this machine. Each ``slow`` and ``hang`` returns a Proof only after
the effect was seen; a fault that was not seen raises FaultNotProven, because a demonstration of a cure for a fault
that never happened would be a lie. ``clear`` always leaves every process running.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from statistics import fmean
from typing import Any, Protocol

import httpx
import msgspec

from watchtower.lab.simulator.procfs import process, workers
from watchtower.lab.simulator.swap import CheckpointSwap
from watchtower.ports import Clock
from watchtower.vocabulary.errors import WatchtowerError
from watchtower.vocabulary.facts import GpuReport

_GRIP_SECONDS = 20.0
"""Longest until a brake must be seen to grip: it is a Python process that has to start first."""


class FaultNotProven(WatchtowerError):
    """The fault was asked for, and its effect was not seen."""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of a fault's effect. An empty proof is no proof."""

    fault: str
    injected_at: float
    """CLOCK_BOOTTIME seconds, just before the fault was asked for."""
    seen_at: float
    evidence: dict[str, Any]

    def __post_init__(self) -> None:
        if not self.evidence or not all(value not in (None, "", [], {}) for value in self.evidence.values()):
            raise FaultNotProven(f"the proof of {self.fault} is empty")


class Injector(Protocol):
    async def slow(self) -> Proof: ...

    async def hang(self) -> Proof: ...

    async def imbalance(self) -> Proof:
        """One GPU works far less than its peers. Raises FaultNotProven where there are no GPUs to look at."""
        ...

    async def drift(self) -> Proof:
        """Another checkpoint is loaded into the running engine."""
        ...

    async def clear(self) -> None:
        """No fault any more, whoever is left of the engine runs. Safe to call at any time."""
        ...


async def swapped(swap: CheckpointSwap | None) -> Proof:
    """Raises FaultNotProven when there is nothing to swap, or the weights in memory are not others afterwards."""
    if swap is None:
        raise FaultNotProven("drift: there is no other checkpoint to load")
    try:
        injected, seen, evidence = await swap.swap()
    except (httpx.HTTPError, KeyError, ValueError) as problem:
        raise FaultNotProven(
            f"drift: the engine did not load another checkpoint ({type(problem).__name__})"
        ) from problem
    return Proof(fault="drift", injected_at=injected, seen_at=seen, evidence=evidence)


class SimulatorFaults:
    """Through ``/sim``, on the engine's own port (never through a relay)."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        client: httpx.AsyncClient,
        *,
        factor: float = 10.0,
        within_seconds: float = 10.0,
        swap: CheckpointSwap | None = None,
    ) -> None:
        self._url, self._clock, self._client, self._swap = url, clock, client, swap
        self._factor, self._within = factor, within_seconds

    async def slow(self) -> Proof:
        """Needs traffic: the proof is a finished step in which the slow rank, and no other, took ``factor`` times."""
        rank, healthy = 2, float((await self._state())["token_seconds"])
        injected, begun = await self._inflict({"kind": "slow", "rank": rank, "factor": self._factor})

        def slow_step(state: dict[str, Any]) -> dict[str, Any] | None:
            seconds = state["last_step_seconds"]
            if state["steps"] <= begun["steps"] or seconds[rank] < self._factor * healthy * 0.9:
                return None
            return {
                "pid": state["pid"],
                "rank": rank,
                "healthy_token_seconds": healthy,
                "step_seconds_by_rank": seconds,
            }

        return await self._proven("slow", injected, slow_step)

    async def hang(self) -> Proof:
        """Needs traffic: the proof is a second without a step while requests run, with ``/health`` answering 200."""
        injected, _ = await self._inflict({"kind": "hang", "rank": 1})
        still: dict[str, Any] = {}

        def no_step(state: dict[str, Any]) -> dict[str, Any] | None:
            if not state["running"] or state["steps"] != still.get("steps"):
                still.update(steps=state["steps"], at=state["at"])
                return None
            if state["at"] - still["at"] < 1.0:
                return None
            return {
                "pid": state["pid"],
                "rank": 1,
                "requests_running": state["running"],
                "steps_stand_at": state["steps"],
                "for_seconds": round(state["at"] - still["at"], 3),
            }

        proof = await self._proven("hang", injected, no_step)
        health = (await self._ask("GET", "/health")).status_code
        return msgspec.structs.replace(proof, evidence={**proof.evidence, "health_status": health})

    async def imbalance(self) -> Proof:
        """Needs traffic: the proof is the newest second of the GPUs, one of them idle for most of it. Mild enough that
        tokens stay inside their limit: the GPUs alone tell."""
        rank = 1
        injected, begun = await self._inflict({"kind": "imbalance", "rank": rank, "factor": 3.0})

        async def idle_gpu() -> dict[str, Any] | None:
            report = msgspec.json.decode((await self._ask("GET", "/sim/gpus")).content, type=GpuReport)
            since = [[sample for sample in gpu.utilization if sample.at > injected] for gpu in report.gpus]
            busy = [round(fmean(sample.busy for sample in samples[-6:]), 2) for samples in since if len(samples) > 5]
            if len(busy) < len(report.gpus) or busy[rank] > min(busy[:rank] + busy[rank + 1 :]) - 0.3:
                return None
            return {"pid": begun["pid"], "rank": rank, "gpu": report.gpus[rank].uuid, "busy_by_rank": busy}

        while self._clock.now().boot - injected < self._within:
            if (evidence := await idle_gpu()) is not None:
                return Proof(fault="imbalance", injected_at=injected, seen_at=self._clock.now().boot, evidence=evidence)
            await self._clock.sleep(0.1)
        raise FaultNotProven(f"imbalance was injected, and its effect was not seen within {self._within:g} s")

    async def drift(self) -> Proof:
        return await swapped(self._swap)

    async def clear(self) -> None:
        if self._swap is not None:
            await self._swap.back()
        try:
            await self._client.post(f"{self._url}/sim/fault", json={"kind": "none"})
        except httpx.TransportError:
            pass  # an engine that is not there has no fault of ours

    async def _inflict(self, fault: dict[str, Any]) -> tuple[float, dict[str, Any]]:
        injected = self._clock.now().boot
        answer = await self._ask("POST", "/sim/fault", fault)
        if answer.status_code != 200:
            raise FaultNotProven(f"the simulator refused the fault with status {answer.status_code}")
        return injected, answer.json()

    async def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = (await self._ask("GET", "/sim/state")).json()
        return state

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        try:
            return await self._client.request(method, f"{self._url}{path}", json=body)
        except httpx.TransportError as exc:
            raise FaultNotProven(f"the simulator did not answer {path}: {type(exc).__name__}") from exc

    async def _proven(
        self, fault: str, injected: float, evidence_in: Callable[[dict[str, Any]], dict[str, Any] | None]
    ) -> Proof:
        while self._clock.now().boot - injected < self._within:
            state = await self._state()
            if (evidence := evidence_in(state)) is not None:
                return Proof(fault=fault, injected_at=injected, seen_at=state["at"], evidence=evidence)
            await self._clock.sleep(0.05)
        raise FaultNotProven(f"{fault} was injected, and its effect was not seen within {self._within:g} s")


class WorkerFaults:
    """On one ``VLLM::Worker_TP*`` among the descendants of ``root()``, with a brake (see ``brake``) as its own process.

    ``root`` is asked each time: after a restart the tree is another one.
    """

    def __init__(
        self,
        root: Callable[[], int],
        clock: Clock,
        *,
        stop_seconds: float = 0.2,
        run_seconds: float = 0.03,
        swap: CheckpointSwap | None = None,
    ) -> None:
        self._root, self._clock, self._swap = root, clock, swap
        self._stop, self._run = stop_seconds, run_seconds
        self._brake: asyncio.subprocess.Process | None = None

    async def slow(self) -> Proof:
        return await self._apply("slow", ["--stop-ms", f"{self._stop * 1e3:g}", "--run-ms", f"{self._run * 1e3:g}"])

    async def hang(self) -> Proof:
        return await self._apply("hang", [])

    async def imbalance(self) -> Proof:
        raise FaultNotProven("an engine on the CPU has no GPUs to tell apart")

    async def drift(self) -> Proof:
        return await swapped(self._swap)

    async def clear(self) -> None:
        if self._swap is not None:
            await self._swap.back()
        await self._let_go()

    async def _let_go(self) -> None:
        brake, self._brake = self._brake, None
        if brake is not None and brake.stdin is not None:
            brake.stdin.close()
            await brake.wait()

    async def _apply(self, fault: str, times: list[str]) -> Proof:
        await self._let_go()
        root = self._root()
        found = workers(root)
        if not found:
            raise FaultNotProven(f"no VLLM::Worker process among the descendants of process {root}")
        target = found[-1]
        injected = self._clock.now().boot
        command = (sys.executable, "-m", "watchtower.lab.simulator.brake", str(target.pid), target.started, *times)
        self._brake = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
        while self._brake.returncode is None and self._clock.now().boot - injected < _GRIP_SECONDS:
            seen = process(target.pid)
            if seen is not None and seen.started == target.started and seen.state == "T":
                evidence: dict[str, Any] = {"process": seen.title.strip(), "pid": seen.pid, "started": seen.started}
                if times:
                    evidence["stopped_ratio"] = round(self._stop / (self._stop + self._run), 3)
                evidence["state"] = seen.state
                return Proof(fault=fault, injected_at=injected, seen_at=self._clock.now().boot, evidence=evidence)
            await self._clock.sleep(0.005)
        await self._let_go()
        raise FaultNotProven(f"{fault}: process {target.pid} was never seen stopped")
