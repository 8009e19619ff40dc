"""The scene that dashboards are judged by: the demo's daemon, a slow engine that is cured, a GPU that idles, and
other weights that are rolled back.

Nothing is left out that a dashboard asks for: references are captured with the encoder where it is installed, and the
GPUs are read by the real gpu child (see ``gpus``).

``python -m tests.dashboards.scene DIR`` plays it once and leaves Prometheus' samples in DIR, for pictures.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.dashboards import gpus
from tests.dashboards.prometheus import Prometheus, prometheus
from watchtower.clock import SystemClock
from watchtower.lab.demonstration.play import Play
from watchtower.lab.demonstration.receiver import Notices, receiving
from watchtower.lab.demonstration.screen import Screen
from watchtower.lab.demonstration.stage import make_secret, simulator_plan, staged
from watchtower.lab.simulator.chats import ChatTraffic, TrafficPlan
from watchtower.lab.simulator.faults import SimulatorFaults
from watchtower.lab.simulator.swap import CheckpointSwap
from watchtower.programs.client import DaemonClient
from watchtower.programs.demo import captured

FAULTS = ("slow", "imbalance", "drift")
SHOWN_SECONDS = 150
"""From calm before the first fault to calm after the last; on a slow machine the beginning is cut off."""
CALM_SECONDS = 6.0
"""After the last fault, so that the end of its incident is on the picture too."""


@asynccontextmanager
async def played(directory: Path) -> AsyncIterator[Prometheus]:
    """Play the scene in front of a Prometheus whose samples go to ``directory``; both still run inside the block."""
    clock, secret = SystemClock(), make_secret()
    limits = {"hardware": {"source": "nvml"}, "placement": gpus.PLACEMENT}
    plan = replace(simulator_plan(seed=0), faults=FAULTS, limits=limits)
    notices = Notices(secret)
    with (
        Screen(clock, to_stderr=True) as screen,
        receiving(notices) as address,
        gpus.machine(directory) as machine,
    ):
        async with (
            httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=64)) as http,
            staged(plan, mode="auto", notices=address, secret=secret) as stage,
        ):
            plan = stage.plan  # which knows by now where its weights lie
            traffic = ChatTraffic(
                TrafficPlan(url=stage.relay, model=plan.model, max_tokens=plan.max_tokens, think_seconds=0.1),
                clock,
                http,
            )
            swap = CheckpointSwap(plan.url, clock, http, declared=plan.weights, other=plan.other_weights)
            play = Play(
                stage=stage,
                clock=clock,
                http=http,
                traffic=traffic,
                make_injector=lambda _: SimulatorFaults(plan.url, clock, http, swap=swap),
                swap=swap,
                capture=lambda: captured(DaemonClient(stage.state), clock, plan.cure_seconds),
                notices=notices,
                screen=screen,
                mode="auto",
            )
            with prometheus(directory, urlsplit(stage.web).netloc) as server:
                await play.opening()
                async with asyncio.TaskGroup() as callers:
                    callers.create_task(traffic.run())
                    mirror = callers.create_task(gpus.Mirror(machine, plan.url, clock, http).run())
                    try:
                        await play.references()
                        await play.healthy_traffic()
                        for name in FAULTS:
                            await play.fault(name)
                        await play.watch(CALM_SECONDS, lambda _: False)
                        yield server
                    finally:
                        traffic.stop()
                        mirror.cancel()


async def _main(directory: Path) -> None:
    async with played(directory) as server:
        print(f"played; samples until {server.newest()[0]:.0f} lie in {directory}")


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    asyncio.run(_main(Path(sys.argv[1])))
