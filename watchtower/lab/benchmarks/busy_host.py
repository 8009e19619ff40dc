"""The relay on a host whose cores are all busy: what it adds to the first token, beside direct.

Two processes that never rest, each in a session of its own, compete with engine, clients and relay; streams run through
both relays meanwhile. Requests go one after the other, in turn: straight to the engine, through a relay as the product
starts it, and through one that nobody put first (``watchtower.scheduling``).
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from watchtower.clock import boottime_ns
from watchtower.lab.benchmarks import process_costs
from watchtower.lab.benchmarks.budgets import Budget
from watchtower.lab.benchmarks.clients import Load, quantile
from watchtower.lab.benchmarks.host import Machine, this_machine
from watchtower.lab.benchmarks.paced_engine import Pace
from watchtower.lab.benchmarks.proxies import started_relay
from watchtower.lab.benchmarks.relay_peers import LoadPlan, started_engine
from watchtower.ports import Clock
from watchtower.scheduling import put_first, share_of
from watchtower.vocabulary.errors import NotReachable

HOGS: Final = 2
DIRECT: Final = "direct"
SERVED_FIRST: Final = "relay, put first"
AS_ANY: Final = "relay, as any other process"
_PAUSE_SECONDS: Final = 0.02
_FIRST: Final = b"data:"
_LAST: Final = b"0\r\n\r\n"


class FirstTokens(msgspec.Struct, frozen=True, kw_only=True):
    """How long the first tokens took through one way, in milliseconds."""

    name: str
    milliseconds: list[float]
    share: str = ""
    """What the kernel says of the relay worker."""
    waited_ms: float = 0.0
    """Time in which the relay worker could have run and did not."""
    ran_ms: float = 0.0

    def at(self, share: float) -> float:
        return quantile(sorted(round(value * 1e6) for value in self.milliseconds), share) / 1e6


class BusyHost(msgspec.Struct, frozen=True, kw_only=True):
    machine: Machine
    streams: int
    """Beside the requests that are timed, over both relays."""
    ways: list[FirstTokens]

    def added_ms(self, name: str) -> float:
        """Median first token beyond direct."""
        direct, through = (next(way for way in self.ways if way.name == wanted) for wanted in (DIRECT, name))
        return median(through.milliseconds) - median(direct.milliseconds)

    @property
    def budgets(self) -> list[Budget]:
        what = f"added to the median first token, {HOGS} busy sessions beside"
        return [Budget(what=what, limit=5.0, measured=self.added_ms(SERVED_FIRST), unit="ms")]


async def measure_busy_host(plan: LoadPlan, clock: Clock, tell: Callable[[str], None]) -> BusyHost:
    """``plan.seconds`` × ``plan.rounds`` of it. ``tell`` gets a line before."""
    machine = this_machine({})
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wt-bench-")))
        engine = await stack.enter_async_context(started_engine(Pace(rate=plan.rate, at_once=True), own_session=True))
        ports, pids = {DIRECT: engine}, {}
        for name in (SERVED_FIRST, AS_ANY):
            home = directory / str(len(ports))
            home.mkdir()
            relay = await stack.enter_async_context(
                started_relay(engine, home, home / "facts", clock, own_session=True)
            )
            ports[name], pids[name] = relay.port, relay.process.pid
            await stack.enter_async_context(_streams(plan, relay.port))
        put_first(pids[SERVED_FIRST])
        for _ in range(HOGS):
            await stack.enter_async_context(_process("-c", "while True: pass"))
        await clock.sleep(1.0)
        tell(f"{plan.seconds * plan.rounds:g} s of first tokens beside {HOGS} busy sessions")
        before = {name: _waited_and_ran(pid) for name, pid in pids.items()}
        taken: dict[str, list[float]] = {name: [] for name in ports}
        until = clock.now().boot + plan.seconds * plan.rounds
        while clock.now().boot < until:
            for name, port in ports.items():
                taken[name].append(await _first_token_ms(port))
                await clock.sleep(_PAUSE_SECONDS)
        after = {name: _waited_and_ran(pid) for name, pid in pids.items()}
        return BusyHost(
            machine=machine,
            streams=plan.streams,
            ways=[
                FirstTokens(
                    name=name,
                    milliseconds=values,
                    share=str(share_of(pids[name])) if name in pids else "",
                    waited_ms=after[name][0] - before[name][0] if name in pids else 0.0,
                    ran_ms=after[name][1] - before[name][1] if name in pids else 0.0,
                )
                for name, values in taken.items()
            ],
        )


async def _first_token_ms(port: int) -> float:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = msgspec.json.encode({"model": "bench", "messages": [], "max_tokens": 1, "stream": True})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Length: {len(body)}\r\n\r\n"
    began = boottime_ns()
    writer.write(head.encode("ascii") + body)
    try:
        await reader.readuntil(_FIRST)
        taken = boottime_ns() - began
        await reader.readuntil(_LAST)
    finally:
        writer.close()
    return taken / 1e6


def _waited_and_ran(pid: int) -> tuple[float, float]:
    """Milliseconds so far, of the thread that forwards."""
    try:
        ran, waited, _ = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()
    except (OSError, ValueError) as exc:
        raise NotReachable(f"the kernel does not say how long pid {pid} waited for a CPU") from exc
    return int(waited) / 1e6, int(ran) / 1e6


@asynccontextmanager
async def _streams(plan: LoadPlan, port: int) -> AsyncIterator[None]:
    """Half of the plan's streams, until the block ends."""
    load = Load(
        port=port, path="/v1/chat/completions", streams=plan.streams // 2, tokens=10**9, deadline_seconds=3600.0
    )
    async with _process("-m", "watchtower.lab.benchmarks.clients", msgspec.json.encode(load).decode()):
        yield


@asynccontextmanager
async def _process(*arguments: str) -> AsyncIterator[None]:
    """In a session of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
    finally:
        await process_costs.end(process)
