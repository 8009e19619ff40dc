"""A real vLLM on the CPU for as long as a block runs: one rank, flags of one's choice, ended with all that it started.

The demo's engine is owned by Watchtower's keeper. Whoever records an engine, or measures beside it, owns it himself and
wants nobody to restart it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from watchtower.lab.simulator.vllm_cpu import engine as vllm
from watchtower.ports import Clock
from watchtower.vocabulary.errors import NotReachable

_START_SECONDS = 300
_END_SECONDS = 30.0
_LAST_LINES = 12


@dataclass(frozen=True)
class RunningVllm:
    """An engine that answers."""

    url: str
    weights: Path
    """Directory of its checkpoint, with the tokenizer."""
    process: asyncio.subprocess.Process = field(repr=False)


@asynccontextmanager
async def running_vllm(port: int, log: Path, clock: Clock, *flags: str) -> AsyncIterator[RunningVllm]:
    """One rank of the tiny checkpoint of seed 0 on 127.0.0.1, with ``flags`` beside the usual ones; it serves. What it
    says goes to ``log``. Installs it first where it is missing. Raises NoVllm, NotReachable."""
    environment = await asyncio.to_thread(vllm.install)
    directory = environment.parent / "tiny-checkpoint-0"
    weights = await asyncio.to_thread(vllm.checkpoint, directory, 0, environment)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *vllm.command(weights, port, environment, ranks=1),
            *flags,
            env={**os.environ, **vllm.variables(ranks=1)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    engine = RunningVllm(f"http://127.0.0.1:{port}", weights, process)
    try:
        await _wait(engine, log, clock)
        yield engine
    finally:
        await _end(process)


async def _wait(engine: RunningVllm, log: Path, clock: Clock) -> None:
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        for _ in range(_START_SECONDS):
            with suppress(httpx.HTTPError):
                if (await client.get(f"{engine.url}/health")).status_code == 200:
                    return
            if engine.process.returncode is not None:
                break
            await clock.sleep(1)
    raise _unserved(engine.process.returncode, log)


def _unserved(status: int | None, log: Path) -> NotReachable:
    said = "\n".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
    return NotReachable(f"vLLM {'did not serve in time' if status is None else f'ended with {status}'}:\n{said}")


async def _end(process: asyncio.subprocess.Process) -> None:
    """TERM to the server, then KILL to its session, in which there is nobody else."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _END_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
