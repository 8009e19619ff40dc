"""``python -m watchtower.programs.traffic URL``: somebody who uses a server, for a stack that is only looked at.

Streams chats through the relay until SIGTERM and prints a line a minute: requests, tokens, failures by kind. The client
is the demo's: it sends once, never retries, and counts a stream without its end as failed.
"""

from __future__ import annotations

import argparse
import asyncio
import signal

import httpx

from watchtower.clock import SystemClock
from watchtower.lab.simulator.chats import ChatTraffic, TrafficPlan
from watchtower.lab.simulator.loop import Model
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import ExitCode

FOREVER_SECONDS = 10 * 365 * 86400.0
LINE_SECONDS = 60.0
CONNECT_SECONDS = 30.0


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="watchtower.programs.traffic", description=__doc__)
    parser.add_argument("url", help="the relay's address, e.g. http://127.0.0.1:8100")
    parser.add_argument("--model", default=Model.name, help="model name in the requests (default: %(default)s)")
    parser.add_argument("--callers", type=int, default=8, help="streams open at once, at most (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=FOREVER_SECONDS, help="stop by itself after so long")
    parsed = parser.parse_args(argv)
    if parsed.callers < 1 or parsed.seconds <= 0:
        parser.error("callers must be at least 1, seconds above 0")
    return parsed


async def use(chosen: argparse.Namespace) -> ChatTraffic:
    """Ask until told to stop; the counts."""
    clock = SystemClock()
    plan = TrafficPlan(
        url=chosen.url,
        model=chosen.model,
        concurrency=chosen.callers,
        most_requests=2**62,
        most_seconds=chosen.seconds,
    )
    async with httpx.AsyncClient(trust_env=False, timeout=CONNECT_SECONDS) as client:
        traffic = ChatTraffic(plan, clock, client)
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, traffic.stop)
        tasks = TaskGroup(clock.sleep)

        async def tell() -> None:
            while True:
                await clock.sleep(LINE_SECONDS)
                print(line(traffic), flush=True)

        tasks.start("tell", tell)
        try:
            await traffic.run()
        finally:
            await tasks.stop()
    return traffic


def line(traffic: ChatTraffic) -> str:
    counts = traffic.counts(traffic.phase)
    failed = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.failed.items())) or "none"
    return f"{counts.requests} requests, {counts.tokens} tokens, failed: {failed}"


def main(argv: list[str] | None = None) -> int:
    print(line(asyncio.run(use(arguments(argv)))), flush=True)
    return ExitCode.OK


if __name__ == "__main__":
    raise SystemExit(main())
