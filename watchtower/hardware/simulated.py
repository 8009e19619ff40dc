"""Asks a simulated engine for its GPUs and hands their reports on: the hardware source of the demo, and of it alone.

Every report says ``simulated``. An engine that does not answer (it restarts) is a report too: its GPUs cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable

import httpx
import msgspec

from watchtower.http_clients import CLOSE, NO_KEEP_ALIVE
from watchtower.ports import Clock
from watchtower.vocabulary.facts import GpuReport
from watchtower.vocabulary.gpus import GpuSource, Trouble

PERIOD_SECONDS = 0.5
ANSWER_SECONDS = 2.0

_decode = msgspec.json.Decoder(GpuReport).decode


async def look(url: str, clock: Clock, client: httpx.AsyncClient) -> GpuReport:
    """One report. Never raises for what the engine does."""
    because = ""
    try:
        answer = await client.get(f"{url}/sim/gpus", timeout=ANSWER_SECONDS)
        if answer.status_code == 200:
            return _decode(answer.content)
        because = f"status {answer.status_code}: is the engine the simulator?"
    except httpx.HTTPError as problem:
        because = type(problem).__name__
    except msgspec.MsgspecError:
        because = "the answer is no GPU report"
    return GpuReport(at=clock.now().boot, source=GpuSource.SIMULATED, trouble=Trouble.STALE, because=because)


async def poll(url: str, clock: Clock, on_report: Callable[[GpuReport], None]) -> None:
    """Twice a second, for ever."""
    async with httpx.AsyncClient(trust_env=False, limits=NO_KEEP_ALIVE, headers=CLOSE) as client:
        while True:
            on_report(await look(url, clock, client))
            await clock.sleep(PERIOD_SECONDS)
