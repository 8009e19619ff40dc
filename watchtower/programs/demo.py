"""``watchtower demo``: break a server on purpose, and show what Watchtower sees, decides, does and verifies.

Exit 0 only when every fault was detected, cured and verified and slow and drift cost no request; in mode observe only
when every fault was detected, a would-act recorded, and nothing was done. A fault of the hardware is for people in
every mode: it must be told, name its GPU, and nothing may be done.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from watchtower import __version__
from watchtower.clock import SystemClock
from watchtower.lab.demonstration.narration import ScreenLine
from watchtower.lab.demonstration.play import Play, Unfinished
from watchtower.lab.demonstration.receiver import Notices, receiving
from watchtower.lab.demonstration.report import as_promised
from watchtower.lab.demonstration.screen import Screen
from watchtower.lab.demonstration.stage import PLANS, Stage, make_secret, staged
from watchtower.lab.simulator.chats import ChatTraffic, TrafficPlan
from watchtower.lab.simulator.faults import FaultNotProven, Injector, SimulatorFaults, WorkerFaults
from watchtower.lab.simulator.swap import CheckpointSwap
from watchtower.programs.client import DaemonClient
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import BadInput, Deadline, ExitCode, NotReachable, Problem, Refused


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
    _cancel_once_on_signals()
    clock = SystemClock()
    with Screen(clock, to_stderr=options.json) as screen:
        if options.engine == "vllm":
            screen.tell(ScreenLine("demo", "preparing a real vLLM on the CPU (the first time: 3.5 GB, minutes)"))
        plan = await asyncio.to_thread(PLANS[options.engine], options.seed)
        secret = make_secret()
        notices = Notices(secret)
        with receiving(notices) as address:
            async with (
                httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=64)) as http,
                staged(plan, mode=options.mode, notices=address, secret=secret) as stage,
            ):
                code = await _perform(options, clock, screen, stage, http, notices)
                screen.tell(ScreenLine("demo", "ending daemon, relay, keeper and engine"))
                return code


def _cancel_once_on_signals() -> None:
    """The first signal begins an orderly end; a second one does not disturb it."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def cancel() -> None:
        if not task.cancelling():
            task.cancel()

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, cancel)


async def _perform(
    options: DemoOptions, clock: SystemClock, screen: Screen, stage: Stage, http: httpx.AsyncClient, notices: Notices
) -> int:
    screen.tell(
        ScreenLine("demo", f"engine: {shlex.join(stage.plan.command)}"),
        ScreenLine("demo", f"configuration {stage.config}, rules {stage.rules}, log {stage.log}"),
        ScreenLine("demo", f"clients → {stage.relay} → {stage.plan.url}; console and API {stage.web}/"),
    )

    plan = stage.plan
    swap = CheckpointSwap(plan.url, clock, http, declared=plan.weights, other=plan.other_weights)

    def make_injector(engine_pid: Callable[[], int]) -> Injector:
        if plan.kind == "vllm":
            return WorkerFaults(engine_pid, clock, swap=swap)
        return SimulatorFaults(plan.url, clock, http, swap=swap)

    async def capture() -> None:
        await captured(DaemonClient(stage.state), clock, plan.cure_seconds)

    traffic = ChatTraffic(_traffic_plan(options, stage), clock, http)
    play = Play(
        stage=stage,
        clock=clock,
        http=http,
        traffic=traffic,
        make_injector=make_injector,
        swap=swap,
        capture=capture,
        notices=notices,
        screen=screen,
        mode=options.mode,
    )
    tasks = TaskGroup(clock.sleep)
    wrong = []
    try:
        await play.opening()
        tasks.start("traffic", traffic.run, restart_after=None)
        await play.references()
        await play.healthy_traffic()
        for name in stage.plan.faults:
            await play.fault(name)
    except (Unfinished, FaultNotProven, NotReachable) as problem:
        wrong.append(str(problem))
    traffic.phase = "after"
    wrong += as_promised(play.reports, options.mode, len(stage.plan.faults))
    stage.keep_files = bool(wrong)
    screen.table(play.reports)
    for sentence in wrong:
        screen.tell(ScreenLine("demo", f"NOT AS PROMISED: {sentence}"))
    screen.tell(ScreenLine("demo", f"everything was left in {stage.directory}" if wrong else "all as promised"))
    if options.json:
        print(json.dumps(_summary(options, play, wrong), indent=2), flush=True)
    if options.keep:
        await _until_interrupted(screen, stage)
    await tasks.stop()
    return ExitCode.PROBLEM_FOUND if wrong else ExitCode.OK


async def captured(daemon: DaemonClient, clock: SystemClock, within: float) -> None:
    """Raises Refused, NotReachable, Deadline."""
    await asyncio.to_thread(daemon.post, "/api/v1/references/capture")
    until = clock.now().boot + within
    while clock.now().boot < until:
        now = (await asyncio.to_thread(daemon.get, "/api/v1/references"))["capture"]
        if now["state"] == "done":
            return
        if now["state"] != "running":
            raise Refused(str(now["because"]))
        await clock.sleep(0.5)
    raise Deadline(f"no end of it within {within:g} s")


def _traffic_plan(options: DemoOptions, stage: Stage) -> TrafficPlan:
    plan, day = stage.plan, 86400.0
    return TrafficPlan(
        url=stage.relay,
        model=plan.model,
        concurrency=plan.callers,
        max_tokens=plan.max_tokens,
        think_seconds=0.1,
        request_seconds=plan.cure_seconds + 60,
        most_requests=10_000_000 if options.keep else 20_000,
        most_seconds=day if options.keep else plan.start_seconds + 4 * plan.cure_seconds,
        seed=options.seed,
    )


async def _until_interrupted(screen: Screen, stage: Stage) -> None:
    screen.tell(
        ScreenLine(
            "demo", f"left running until Ctrl-C: clients {stage.relay} · engine {stage.plan.url} · {stage.web}/"
        ),
        ScreenLine("demo", f"look closer: watchtower status --state-dir {stage.state}"),
    )
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()  # here the interruption is the agreed end, not a failure


def _summary(options: DemoOptions, play: Play, wrong: list[str]) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "faults": msgspec.to_builtins(play.reports),
        "engine": {
            "kind": options.engine,
            "version": play.engine_version,
            "before": play.first_incarnation,
            "after": play.incarnation,
        },
        "mode": options.mode,
        "watchtower": __version__,
        "seed": options.seed,
        "traffic": {
            phase: {"requests": counts.requests, "tokens": counts.tokens, "failed": dict(counts.failed)}
            for phase, counts in play.traffic.phases.items()
        },
        "notices": {"taken": [notice["type"] for notice in play.notices.all()], "refused": play.notices.refused},
        "broken_promises": wrong,
    }
    return summary
