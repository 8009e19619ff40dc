"""A real relay worker on a thread of its own, between engines and clients that mean no good.

Every byte that arrives is compared with what was sent; what our callbacks take of the CPU is measured by their thread's
clock, so that neither the other side of the test nor a busy machine counts.
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
import gc
import os
import random
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import uvloop

from tests.fuzz.inputs import Answer, answers, cut_anew, extremes, mutilated, request
from watchtower.taps import answers as own
from watchtower.taps.client_connection import ClientConnection
from watchtower.taps.listening import bound
from watchtower.taps.relay_plan import RelayPlan
from watchtower.taps.relay_worker import RelayWorker
from watchtower.taps.reports import Reporter
from watchtower.taps.socket_addresses import Address
from watchtower.taps.upstream_connection import UpstreamConnection

PATIENCE_SECONDS = 20.0
AT_ONCE = 24
TURN_MILLISECONDS = 5.0
_TURNS = (
    *((ClientConnection, name) for name in ("connection_made", "data_received", "_turn", "connection_lost", "rest")),
    *((ClientConnection, name) for name in ("pause_writing", "resume_writing")),
    *((UpstreamConnection, name) for name in ("connection_made", "data_received", "_next_piece", "connection_lost")),
    (Reporter, "_tick"),
)
"""What the loop calls."""
_OWN = tuple(answer.wire(head_only=False) for answer in vars(own).values() if isinstance(answer, own.OwnAnswer))


@dataclass
class Turns:
    """CPU that our callbacks took, outermost ones, in milliseconds."""

    count: int = 0
    longest: float = 0.0
    """Since it was last set to 0."""
    where: str = ""
    _inside: bool = False

    def timed(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def turn(*arguments: Any) -> Any:
            if self._inside:
                return function(*arguments)
            self._inside, began = True, time.thread_time_ns()
            try:
                return function(*arguments)
            finally:
                self._inside = False
                took = (time.thread_time_ns() - began) / 1e6
                self.count += 1
                if took > self.longest:
                    self.longest, self.where = took, name

        return turn


class Relay:
    """The worker and its thread."""

    def __init__(self, upstream: int, directory: Path) -> None:
        self.port = 0
        self.turns = Turns()
        self.exceptions: list[str] = []
        self._upstream = upstream
        self._directory = directory
        self._ready, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.worker: RelayWorker
        self._originals = [(owner, name, getattr(owner, name)) for owner, name in _TURNS]

    def __enter__(self) -> Relay:
        for owner, name, function in self._originals:
            setattr(owner, name, self.turns.timed(function, f"{owner.__name__}.{name}"))
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)
        for owner, name, function in self._originals:
            setattr(owner, name, function)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.exceptions.append(repr(context)))
        plan = RelayPlan(
            worker=0, listen="127.0.0.1:0", run_directory=str(self._directory),
            upstream=f"http://127.0.0.1:{self._upstream}", max_connections=8000,
        )  # fmt: skip
        self.worker = RelayWorker(plan, loop, os.getpid())
        listening = bound(Address(host="127.0.0.1"))
        self.port = listening.getsockname()[1]
        await self.worker.listen(listening)
        Reporter(self.worker.state, os.getpid(), "0", "here").start()
        gc.freeze()
        self._ready.set()
        while not self._over.is_set():
            await asyncio.sleep(0.02)
            self.worker.state.exchanges.drain()
        await self.worker.drain(0.5)
        self.worker.cut()
        await asyncio.sleep(0.1)

    @property
    def at_rest(self) -> bool:
        """Nothing is left of any request."""
        state = self.worker.state
        return not (state.connections or state.exchanges.open or state.passing.answering or state.hold.parked)


@dataclass
class Case:
    """One connection of a client: what the engine is to send, and how both behave."""

    answer: Answer
    asked: bytes
    intact: bool
    """Nothing is wrong with it: all of it must arrive."""
    reads: list[int]
    ends: str = ""
    """How the engine ends after it has sent: ``close``, ``reset``; "": it waits."""
    slow: bool = False
    leaves: bool = False
    got: bytearray = field(default_factory=bytearray)
    sent: bytearray = field(default_factory=bytearray)
    """By the engine."""
    arrived: bytearray = field(default_factory=bytearray)
    """At the engine, over all connections that were made for it."""
    wrong: str = ""


class Fuzz:
    """Case after case, as the seed has them."""

    def __init__(self, seed: int, directory: Path) -> None:
        self._rng = random.Random(seed)
        self._directory = directory
        self.cases = self.bytes = 0
        self.longest = (0.0, "")
        """The longest turn of ours: milliseconds of CPU, and where."""
        self.grown_bytes = 0
        """Resident memory after the run, less that after a quarter of it."""
        self.wrong: list[str] = []
        self._waiting: dict[str, Case] = {}
        self._recorded, self._extreme = answers(), extremes()

    async def run(self, seconds: float, most: int = 10**9, *, with_extremes: bool = True, idle: int = 0) -> Relay:
        uvloop.new_event_loop().close()  # the first one of a process opens what is never closed
        server = await asyncio.start_server(self._engine, "127.0.0.1", 0, backlog=1024)
        descriptors = _descriptors()
        with Relay(server.sockets[0].getsockname()[1], self._directory) as relay:
            end = time.monotonic() + seconds
            if with_extremes:
                for answer in self._extreme:
                    await self._play(relay, [self._case(answer, intact=True)], answer.name)
            resident, warm = 0, time.monotonic() + seconds / 4
            while time.monotonic() < end and self.cases < most:
                if not resident and time.monotonic() > warm:
                    resident = _resident_bytes()
                await self._play(relay, [self._any() for _ in range(AT_ONCE)], f"case {self.cases}")
            await self._until(lambda: relay.at_rest)
            self.grown_bytes = _resident_bytes() - resident if resident else 0
            if idle:
                await self._idle(relay, idle)
            await self._until(lambda: relay.at_rest)
            if not relay.at_rest:
                state = relay.worker.state
                self.wrong.append(f"left over: {len(state.connections)} connections, {len(state.exchanges.open)} open")
        await self._until(lambda: _descriptors() <= descriptors)
        if (left := _descriptors() - descriptors) > 0:
            self.wrong.append(f"{left} descriptors were not closed")
        server.close()
        self.wrong += relay.exceptions
        return relay

    async def _idle(self, relay: Relay, count: int) -> None:
        """So many clients that ask nothing; another one is served beside them, and the relay forgets them all."""
        sides = []
        for _ in range(count):
            side = socket.socket()
            side.setblocking(False)
            await asyncio.get_running_loop().sock_connect(side, ("127.0.0.1", relay.port))
            sides.append(side)
        await self._until(lambda: len(relay.worker.state.connections) >= count)
        await self._play(relay, [self._case(answer, intact=True) for answer in self._recorded[:20]], "beside the idle")
        for side in sides:
            side.close()

    def _any(self) -> Case:
        rng = self._rng
        answer = rng.choice(self._extreme if rng.random() < 0.01 else self._recorded)
        intact = rng.random() < 0.3
        if rng.random() < 0.5:
            answer = cut_anew(rng, answer)
        if not intact:
            answer = Answer(answer.name, answer.path, mutilated(rng, answer.wire))
        return self._case(answer, intact=intact)

    def _case(self, answer: Answer, *, intact: bool) -> Case:
        rng = self._rng
        asked = request(rng, answer.path)
        if not intact and rng.random() < 0.4:
            asked = mutilated(rng, asked)
        reads = [rng.choice((1, 7, 100, 3000, 100_000)) for _ in range(rng.randrange(1, 6))]
        if len(answer.wire) > 20_000:
            reads = [max(9_000, size) for size in reads]
        ends = "close" if intact else rng.choice(("", "close", "close", "reset"))
        return Case(
            answer, asked, intact, reads, ends, slow=rng.random() < 0.05, leaves=not intact and rng.random() < 0.2
        )

    async def _play(self, relay: Relay, cases: list[Case], name: str) -> None:
        """A turn is as long as it is the shortest of three times: others are at work on the machine, too."""
        took: list[tuple[float, str]] = []
        while len(took) < 3 and (not took or took[-1][0] > TURN_MILLISECONDS):
            relay.turns.longest = 0.0
            await self._play_once(relay, cases, name)
            took.append((relay.turns.longest, f"{relay.turns.where}: {name}"))
            cases = [replace(case, got=bytearray(), sent=bytearray(), arrived=bytearray()) for case in cases]
        self.longest = max(self.longest, min(took))

    async def _play_once(self, relay: Relay, cases: list[Case], name: str) -> None:
        for case in cases:
            case.asked = re.sub(rb"Host: [xc]\d*", b"Host: c%d" % self.cases, case.asked, count=1)
            self._waiting[f"c{self.cases}"] = case
            self.cases += 1
        await asyncio.gather(*(self._client(relay.port, case) for case in cases))
        for case in cases:
            self.bytes += len(case.got)
            if problem := case.wrong or self._compare(case):
                self.wrong.append(f"{name}: {case.answer.name}: {problem}")
        for key in [key for key, case in self._waiting.items() if case in cases]:
            del self._waiting[key]

    @staticmethod
    def _compare(case: Case) -> str:
        got, sent = bytes(case.got), bytes(case.sent)
        if not got.startswith(sent[: len(got)]) and not got.startswith(_OWN):
            return "bytes for the client were changed"
        if len(got) > len(sent) and not got.startswith(_OWN) and not got[len(sent) :].startswith(_OWN):
            return "the client got more than was sent"
        if not case.asked.startswith(case.arrived[: len(case.asked)]):
            return "bytes for the engine were changed"
        if case.intact and case.answer.ends and (got != case.answer.wire or case.arrived != case.asked):
            return f"the client got {len(got)} of {len(case.answer.wire)} bytes, the engine {len(case.arrived)}"
        return ""

    async def _client(self, port: int, case: Case) -> None:
        rng = self._rng
        with socket.socket() as side:
            side.setblocking(False)
            if case.slow:
                side.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(side, ("127.0.0.1", port))
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    at = 0
                    while at < len(case.asked):
                        size = rng.choice((1, 20, 1000, 100_000))
                        await loop.sock_sendall(side, case.asked[at : at + size])
                        at += size
                        if rng.random() < 0.1:
                            await asyncio.sleep(0)
                    await self._read(side, case)
            except TimeoutError:
                case.wrong = "nothing more came" if case.intact else ""
            except OSError:
                pass

    async def _read(self, side: socket.socket, case: Case) -> None:
        loop = asyncio.get_running_loop()
        leaves_at = self._rng.randrange(len(case.answer.wire) + 1) if case.leaves else -1
        # An answer in which something is wrong may leave both waiting: then the client goes.
        patience = PATIENCE_SECONDS if case.intact else 0.3
        try:
            while True:
                async with asyncio.timeout(patience):
                    data = await loop.sock_recv(side, 65536)
                if not data:
                    return
                case.got += data
                whole = case.intact and len(case.got) >= len(case.answer.wire)
                if whole or (case.leaves and len(case.got) >= leaves_at):
                    return
                if case.slow and len(case.got) < 200_000:
                    await asyncio.sleep(0.002)
        except TimeoutError:
            if case.intact:
                raise

    async def _engine(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        case: Case | None = None
        seen = bytearray()
        try:
            while case is None:
                data = await reader.read(65536)
                if not data:
                    return
                seen += data
                head, found, _ = bytes(seen).partition(b"\r\n\r\n")
                at = head.find(b"Host: c")
                if found or len(seen) > 600:
                    name = head[at + 6 :].partition(b"\r\n")[0].decode("latin-1")
                    case = self._waiting.get(name) if at >= 0 else None
                    if case is None:
                        return  # its request does not say any more whose it is
            case.arrived += seen
            taker = asyncio.ensure_future(self._take(reader, case))
            if case.intact:
                await self._until(lambda: case is not None and len(case.arrived) >= len(case.asked))
            await self._send(writer, case)
            if case.ends == "reset":
                writer.transport.abort()
            elif case.ends == "close":
                writer.close()
            await taker
        except OSError:
            pass
        finally:
            writer.close()

    @staticmethod
    async def _take(reader: asyncio.StreamReader, case: Case) -> None:
        try:
            while data := await reader.read(65536):
                case.arrived += data
        except OSError:
            pass

    async def _send(self, writer: asyncio.StreamWriter, case: Case) -> None:
        at, turn, wire = 0, 0, case.answer.wire
        while at < len(wire):
            part = wire[at : at + case.reads[turn % len(case.reads)]]
            case.sent += part
            writer.write(part)
            at, turn = at + len(part), turn + 1
            await writer.drain()
            if self._rng.random() < 0.2:
                await asyncio.sleep(0)

    @staticmethod
    async def _until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:  # noqa: ASYNC110  (plain values)
            await asyncio.sleep(0.005)


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _resident_bytes() -> int:
    """What is left once everything was given back that may be: the allocator keeps the room of large answers."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
