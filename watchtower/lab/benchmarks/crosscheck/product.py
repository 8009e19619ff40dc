"""The product as any user runs it, ``watchtower run``, before an engine that somebody else owns; and what it shows.

Its windows are as long as one tool's work, so that a gauge read after the work is about all of it and nothing else.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from watchtower.lab.benchmarks.crosscheck.differences import HISTOGRAMS, READINGS, RECORDING
from watchtower.lab.benchmarks.crosscheck.exposed import Scrape
from watchtower.lab.benchmarks.crosscheck.measured import Figures
from watchtower.lab.benchmarks.crosscheck.own_figures import histogram_figures, readings_figures, recorded_figures
from watchtower.lab.benchmarks.proxies import free_port
from watchtower.ports import Clock
from watchtower.storage.segments import read
from watchtower.vocabulary.errors import NotReachable
from watchtower.vocabulary.facts import RelayFrame

_START_SECONDS: Final = 60
_END_SECONDS: Final = 45.0
_SETTLE_SECONDS: Final = 3.0
"""Facts travel every 50 ms, the board is renewed every second, the recording is written twice a second."""
_LAST_LINES: Final = 12


@dataclass(frozen=True)
class Product:
    """A daemon with its relay."""

    relay: str
    web: str
    state: Path
    window_seconds: float
    process: asyncio.subprocess.Process = field(repr=False)

    async def figures(
        self, client: httpx.AsyncClient, before: Scrape, since: float, clock: Clock
    ) -> dict[str, Figures]:
        """By door, of everything that was relayed since ``before`` was scraped, at ``since`` (Unix seconds)."""
        await clock.sleep(_SETTLE_SECONDS)
        status = (await client.get(f"{self.web}/api/v1/status")).json()
        histograms = histogram_figures(before, await self.scrape(client))
        recorded = await asyncio.to_thread(self._recorded, since, clock.now().wall)
        return {
            READINGS: readings_figures(status["readings"], recorded),
            HISTOGRAMS: histograms,
            RECORDING: recorded,
        }

    def _recorded(self, since: float, until: float) -> Figures:
        facts = (recorded.item for recorded in read(self.state, since, until))
        return recorded_figures(fact for fact in facts if isinstance(fact, RelayFrame))

    async def scrape(self, client: httpx.AsyncClient) -> Scrape:
        return Scrape((await client.get(f"{self.web}/metrics")).text)


def document(
    engine: str, model: str, directory: Path, relay: str, web: str, relay_lag_seconds: float
) -> dict[str, Any]:
    """The whole ``watchtower.yaml``: it observes, and asks the engine for nothing while tools measure."""
    return {
        "version": 1,
        "target": "crosscheck",
        "state_directory": str(directory / "state"),
        "rules": ["rules.yaml"],
        "engine": {"kind": "vllm", "url": engine, "model": model},
        "supervisor": {"kind": "none"},
        "relay": {"listen": relay},
        "remediation": {"mode": "observe"},
        "evidence": {"relay_lag_seconds": relay_lag_seconds},
        "canary": {"every_seconds": 3600},
        "hardware": {"source": "none"},
        "scoring": {"encoder": "none"},
        "web": {"listen": web},
    }


def rules(window_seconds: float) -> dict[str, Any]:
    """One rule, whose window is that of all gauges; its limit is far away."""
    over = f"{window_seconds:g}s"
    rule = {
        "name": "gauges",
        "when": "inter_token_latency_seconds.p95 > 60s",
        "over": over,
        "for": over,
        "severity": "page",
        "then": "warm_restart",
        "summary": "p95 per-token latency {value}",
    }
    return {"version": 1, "rules": [rule]}


@asynccontextmanager
async def running_product(
    engine: str, model: str, directory: Path, window_seconds: float, clock: Clock, relay_lag_seconds: float = 0.005
) -> AsyncIterator[Product]:
    """Ready and observing; ended with its relay. What the relay saw while it was later than ``relay_lag_seconds`` is in
    no reading. Raises NotReachable with its last words."""
    relay, web = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    config, log = directory / "watchtower.yaml", directory / "daemon.log"
    config.write_text(yaml.safe_dump(document(engine, model, directory, relay, web, relay_lag_seconds)))
    (directory / "rules.yaml").write_text(yaml.safe_dump(rules(window_seconds)))
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "watchtower.cli", "run", "--config", str(config), "--own-everything"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    product = Product(f"http://{relay}", f"http://{web}", directory / "state", window_seconds, process)
    try:
        await _ready(product, log, clock)
        yield product
    finally:
        await _end(process)


async def _ready(product: Product, log: Path, clock: Clock) -> None:
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        for _ in range(_START_SECONDS):
            with suppress(httpx.HTTPError):
                if (await client.get(f"{product.web}/-/ready")).status_code == 200:
                    return
            if product.process.returncode is not None:
                break
            await clock.sleep(1)
    raise _unready(product.process.returncode, log)


def _unready(status: int | None, log: Path) -> NotReachable:
    said = "\n".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
    return NotReachable(f"the daemon {'was not ready' if status is None else f'ended with {status}'}:\n{said}")


async def _end(process: asyncio.subprocess.Process) -> None:
    """TERM, by which it ends its relay too; KILL when that does not help. Only ever this process."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), _END_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
