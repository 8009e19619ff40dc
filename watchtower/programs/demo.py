"""``watchtower demo``: break a server on purpose, and show what Watchtower sees, decides, does and verifies.

Exit 0 only when every fault was detected, cured and verified and the slow one cost no request; in mode observe only
when every fault was detected, a would-act recorded, and nothing was done.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from watchtower import __version__
from watchtower.clock import SystemClock
from watchtower.demonstration.narration import Line
from watchtower.demonstration.outcome import as_promised
from watchtower.demonstration.play import HEALTHY_SECONDS, Play, Unfinished
from watchtower.demonstration.receiver import Notices, receiving
from watchtower.demonstration.screen import Screen
from watchtower.demonstration.stage import PLANS, Stage, make_secret, staged
from watchtower.simulator.faults import FaultNotProven, Injector, SimulatorFaults, WorkerFaults
from watchtower.simulator.traffic import Traffic, TrafficPlan
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import BadInput, ExitCode, Problem

FAULTS = ("slow", "hang")


@dataclass(frozen=True)
class DemoOptions:
    engine: str = "simulator"
    mode: str = "auto"
    keep: bool = False
    seed: int = 0
    json: bool = False


def main(options: DemoOptions) -> int:
    """Raises BadInput for an unknown engine or mode."""
    _check("--engine", options.engine, tuple(PLANS))
    _check("--mode", options.mode, ("auto", "observe"))
    try:
        return asyncio.run(_demo(options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return ExitCode.INTERRUPTED


def _check(flag: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise BadInput([Problem(flag, "", f"'{given}' is unknown", f"one of: {', '.join(known)}")])


async def _demo(options: DemoOptions) -> int:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, task.cancel)
    clock = SystemClock()
    with Screen(clock, to_stderr=options.json) as screen:
        if options.engine == "vllm":
            screen.tell(Line("demo", "preparing a real vLLM on the CPU (the first time: 3.5 GB, minutes)"))
        plan = await asyncio.to_thread(PLANS[options.engine], options.seed)
        secret = make_secret()
        notices = Notices(secret)
        with receiving(notices) as address:
            async with (
                staged(plan, mode=options.mode, notices=address, secret=secret) as stage,
                httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=64)) as http,
            ):
                return await _play(options, clock, screen, stage, http, notices)


async def _play(
    options: DemoOptions, clock: SystemClock, screen: Screen, stage: Stage, http: httpx.AsyncClient, notices: Notices
) -> int:
    plan = stage.plan
    screen.tell(
        Line("demo", f"engine: {' '.join(plan.command)}"),
        Line("demo", f"configuration {stage.config}, rules {stage.directory / 'rules.yaml'}, log {stage.log}"),
        Line("demo", f"clients → {stage.relay} → {plan.url}; console and API {stage.web}/"),
    )
    traffic = Traffic(
        TrafficPlan(
            stage.relay,
            plan.model,
            concurrency=plan.callers,
            max_tokens=plan.max_tokens,
            think_seconds=0.1,
            request_seconds=plan.cure_seconds + 30,
            most_seconds=plan.start_seconds + 4 * plan.cure_seconds,
            seed=options.seed,
        ),
        clock,
        http,
    )
    play = Play(stage, clock, http, traffic, _injector(play_root := _Root(), stage, clock, http), notices, screen, options.mode)
    play_root.play = play
    tasks = TaskGroup(clock.sleep)
    unfinished = ""
    try:
        await play.wait_ready()
        screen.tell(Line("demo", "warming the engine up with one request of our own"))
        await _warm_up(http, plan.url, plan.model, plan.start_seconds)
        tasks.start("traffic", traffic.run, restart_after=None)
        screen.tell(Line("demo", f"healthy traffic first: {plan.callers} callers, {HEALTHY_SECONDS:g} s of calm"))
        await play.healthy(HEALTHY_SECONDS)
        for name in FAULTS:
            await play.fault(name, getattr(play.injector, name))
    except (Unfinished, FaultNotProven) as problem:
        unfinished = str(problem)
        screen.tell(Line("demo", f"cannot go on: {problem}"))
    finally:
        traffic.phase = "after"
        traffic.stop()
    wrong = ([unfinished] if unfinished else []) + as_promised(play.reports, options.mode, len(FAULTS))
    screen.table(play.reports)
    for sentence in wrong:
        screen.tell(Line("demo", f"NOT AS PROMISED: {sentence}"))
    if wrong:
        stage.keep_files = True
        screen.tell(Line("demo", f"everything was left in {stage.directory}"))
    else:
        screen.tell(Line("demo", "as promised"))
    if options.json:
        print(json_text(options, play, wrong), flush=True)
    if options.keep:
        stage.keep_files = True
        screen.tell(
            Line("demo", f"left running until Ctrl-C: clients {stage.relay} · engine {plan.url} · {stage.web}/"),
            Line("demo", f"look closer: watchtower status --state-dir {stage.directory / 'state'}"),
        )
        await asyncio.Event().wait()
    await tasks.stop()
    return ExitCode.PROBLEM_FOUND if wrong else ExitCode.OK
