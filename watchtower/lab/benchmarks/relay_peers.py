"""The relay beside its peers: same engine, same clients, same run, in rounds that take turns.

A *leg* is one program under the whole load once; a round is one leg of each, and every round begins with another one,
so that no program always runs after the same neighbour. ``direct`` has no proxy: what a chunk takes there is taken off
everybody's delays. Our relay runs twice: observing, with its facts read from the other end of its socket and counted
against what the clients got; and on a path whose answers it cannot read, which is forwarding, guard and hold alone.
"""

from __future__ import annotations

import asyncio
import math
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from watchtower.lab.benchmarks import process_costs
from watchtower.lab.benchmarks.budgets import Budget, median_of, ratio
from watchtower.lab.benchmarks.clients import Load, LoadResult
from watchtower.lab.benchmarks.host import Machine, this_machine
from watchtower.lab.benchmarks.paced_engine import Pace
from watchtower.lab.benchmarks.proxies import PEERS, Proxy, started_peer, started_relay, version
from watchtower.lab.benchmarks.sink import FactSink
from watchtower.lab.benchmarks.stream_shapes import SHAPES
from watchtower.ports import Clock
from watchtower.vocabulary.errors import NotReachable

DIRECT: Final = "direct"
OBSERVING: Final = "relay, observing"
FORWARDING: Final = "relay, forwarding only"
UNREAD_PATH: Final = "/cohere/v2/chat"
"""Guarded and held like every generation, but of a dialect that is not read: what forwarding alone costs."""
_GRACE_SECONDS: Final = 15.0
_QUIET_US: Final = 2000.0
"""Where even ``direct`` has a longer p99, the machine was busy with other things: the round says nothing of p99."""
_RESOLUTION_US: Final = 50.0
"""Two legs without any difference differ by as much: a smaller added delay is no yardstick."""


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The load, as ``watchtower bench relay`` takes it."""

    streams: int = 64
    rate: float = 50.0
    seconds: float = 10.0
    rounds: int = 3
    together: bool = False
    dialect: str = "openai_chat"

    @property
    def tokens(self) -> int:
        return max(1, round(self.rate * self.seconds))


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One program under the whole load, once."""

    name: str
    round: int
    streams: int
    heard: LoadResult
    cpu_us: float
    """CPU of the program's processes per chunk that the clients got, connections and idle ticks included."""
    rss_bytes: int
    """After the leg."""
    tokens_reported: int = msgspec.field(default=0, name="tokens_told")  # in the JSON, where others read it
    """Our relay only: tokens that its facts reported for this leg."""

    @property
    def whole(self) -> bool:
        return self.heard.complete == self.streams


class RelayComparison(msgspec.Struct, frozen=True, kw_only=True):
    plan: LoadPlan
    machine: Machine
    legs: list[Leg]
    missing: list[str]
    """Peers that took no part, and the cure."""

    def of(self, name: str) -> list[Leg]:
        return [leg for leg in self.legs if leg.name == name]

    @property
    def names(self) -> list[str]:
        """In the order of a table."""
        order = [DIRECT, *(peer.name for peer in PEERS), FORWARDING, OBSERVING]
        return [name for name in order if self.of(name)]

    @property
    def peers(self) -> list[str]:
        return [name for name in self.names if name in {peer.name for peer in PEERS}]

    def added_us(self, name: str, quantile: str) -> float | None:
        """Median over rounds of what ``name`` adds to ``p50`` or ``p99`` of the delay, over direct, in microseconds."""
        return median_of(self._added(leg, quantile) for leg in self.of(name))

    def ratio_cpu(self, name: str) -> float | None:
        """Median over rounds: CPU per chunk over the better peer's in the same round."""
        return median_of(ratio(leg.cpu_us, (peer.cpu_us for peer in self._beside(leg))) for leg in self.of(name))

    def ratio_added_p99(self, name: str) -> float | None:
        """Median over the quiet rounds: added p99 over the better peer's in the same round."""
        return median_of(self._p99_beside_better(leg) for leg in self.of(name))

    def _p99_beside_better(self, leg: Leg) -> float | None:
        ours, theirs = self._added(leg, "p99"), [self._added(peer, "p99") for peer in self._beside(leg)]
        noisy = self._direct(leg).heard.p99_us > _QUIET_US or min(ours, *theirs, math.inf) < _RESOLUTION_US
        return None if noisy else ratio(ours, theirs)

    def _beside(self, leg: Leg) -> list[Leg]:
        return [other for other in self.legs if other.round == leg.round and other.name in self.peers and other.whole]

    def _added(self, leg: Leg, quantile: str) -> float:
        there: float = getattr(leg.heard, f"{quantile}_us")
        here: float = getattr(self._direct(leg).heard, f"{quantile}_us")
        return there - here

    def _direct(self, leg: Leg) -> Leg:
        return next(other for other in self.of(DIRECT) if other.round == leg.round)

    @property
    def budgets(self) -> list[Budget]:
        beside = "" if self.peers else "no peer took part"
        noise = beside or "too noisy: direct alone has a long p99, or what was added drowns in it"
        rss = max((leg.rss_bytes for leg in self.of(OBSERVING)), default=0)
        lost = sum(leg.streams - leg.heard.complete for leg in self.legs if leg.name in (OBSERVING, FORWARDING))
        untold = sum(leg.heard.chunks - leg.tokens_reported for leg in self.of(OBSERVING))
        return [
            _times("CPU per chunk, forwarding only, against the better peer", 1.25, self.ratio_cpu(FORWARDING), beside),
            _times("CPU per chunk, observing, against the better peer", 1.5, self.ratio_cpu(OBSERVING), beside),
            _times(
                "added p99 per token, observing, against the better peer", 1.25, self.ratio_added_p99(OBSERVING), noise
            ),
            Budget(what="resident memory of a relay worker", limit=40, measured=rss / 1e6, unit="MB"),
            Budget(what="streams through the relay that were not whole", limit=0, measured=lost, unit=""),
            Budget(what="tokens that passed and were not told", limit=0, measured=untold, unit=""),
        ]


def _times(what: str, limit: float, measured: float | None, because: str) -> Budget:
    return Budget(what=what, limit=limit, measured=measured, unit="×", because=because if measured is None else "")


@dataclass(frozen=True)
class _Subject:
    """What one leg goes through."""

    name: str
    port: int
    path: str
    proxy: Proxy | None = None


async def compare(plan: LoadPlan, clock: Clock, tell: Callable[[str], None]) -> RelayComparison:
    """Run every round. ``tell`` gets a line before each leg."""
    machine = this_machine({peer.name: said for peer in PEERS if (said := await version(peer))})
    legs: list[Leg] = []
    observed = SHAPES[plan.dialect].path
    with tempfile.TemporaryDirectory(prefix="wt-bench-") as name:
        async with AsyncExitStack() as stack:
            directory = Path(name)
            engine = await stack.enter_async_context(
                started_engine(Pace(rate=plan.rate, together=plan.together, dialect=plan.dialect))
            )
            sink = await stack.enter_async_context(FactSink.listening(directory / "facts.sock"))
            ours = await stack.enter_async_context(started_relay(engine, directory, sink.path, clock))
            subjects = [
                _Subject(DIRECT, engine, observed),
                _Subject(OBSERVING, ours.port, observed, ours),
                _Subject(FORWARDING, ours.port, UNREAD_PATH, ours),
            ]
            missing = []
            for peer in PEERS:
                try:
                    proxy = await stack.enter_async_context(started_peer(peer, engine, directory, clock))
                except NotReachable as exc:
                    missing.append(str(exc))
                    tell(f"{exc}; going on without it")
                else:
                    subjects.append(_Subject(peer.name, proxy.port, observed, proxy))
            for round_ in range(plan.rounds):
                shift = round_ % len(subjects)
                for subject in subjects[shift:] + subjects[:shift]:
                    tell(f"round {round_ + 1} of {plan.rounds}: {subject.name}")
                    legs.append(await _leg(plan, subject, round_ + 1, sink, clock))
    return RelayComparison(plan=plan, machine=machine, legs=legs, missing=missing)


async def _leg(plan: LoadPlan, subject: _Subject, round_: int, sink: FactSink, clock: Clock) -> Leg:
    pids = subject.proxy.pids if subject.proxy else []
    before, cpu = sink.tokens, process_costs.cpu_ns(pids)
    heard = await _listen(plan, subject)
    cpu = process_costs.cpu_ns(pids) - cpu
    if subject.name == OBSERVING:
        await clock.sleep(0.5)  # the last facts are at most a fifth of a second behind
    return Leg(
        name=subject.name,
        round=round_,
        streams=plan.streams,
        heard=heard,
        cpu_us=cpu / 1e3 / max(1, heard.chunks),
        rss_bytes=process_costs.rss_bytes(pids),
        tokens_reported=sink.tokens - before,
    )


async def _listen(plan: LoadPlan, subject: _Subject) -> LoadResult:
    load = Load(
        port=subject.port,
        path=subject.path,
        streams=plan.streams,
        tokens=plan.tokens,
        dialect=plan.dialect,
        deadline_seconds=plan.seconds + _GRACE_SECONDS,
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "watchtower.lab.benchmarks.clients",
        msgspec.json.encode(load).decode(),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        said, _ = await process.communicate()
    finally:
        await process_costs.end(process)
    return msgspec.json.decode(said, type=LoadResult)


@asynccontextmanager
async def started_engine(pace: Pace, *, own_session: bool = False) -> AsyncIterator[int]:
    """Its port. Raises NotReachable."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "watchtower.lab.benchmarks.paced_engine",
        msgspec.json.encode(pace).decode(),
        stdout=asyncio.subprocess.PIPE,
        start_new_session=own_session,
    )
    try:
        assert process.stdout is not None  # a pipe was asked for
        line = await process.stdout.readline()
        if not line:
            raise NotReachable("the bench's own engine did not start")
        yield int(line)
    finally:
        await process_costs.end(process)
