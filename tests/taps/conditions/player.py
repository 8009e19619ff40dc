"""Plays conditions through a real relay worker, a process of its own, and gathers what it told the daemon.

Conditions that share a worker are played at once; each request carries the name of its condition in the header that the
relay takes for the caller's tag. Both sides keep every byte.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tests.taps.conditions.script import CASE_HEADER, Comes, Condition, Do, Script, request
from watchtower.taps.framing import Deframer, frame
from watchtower.taps.relay_plan import RelayPlan
from watchtower.vocabulary.facts import (
    Closed,
    ExchangeNews,
    HoldOrder,
    Opened,
    RelayFrame,
    RelayMessage,
    ReleaseOrder,
    WorkerOrder,
)

_QUIET_SECONDS = 0.3
_PATIENCE_SECONDS = 120.0
_RECEIVE_BUFFER = 64 * 1024
_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
_NAME = re.compile(CASE_HEADER.encode() + rb": *([^\r]+)", re.IGNORECASE)


@dataclass
class Told:
    """What the relay told of one exchange."""

    opened: Opened
    closed: Closed | None = None
    first_token_at: float | None = None
    counted: int = 0
    paces: list[tuple[float, int]] = field(default_factory=list)
    """Seconds a token, and for how many."""
    gaps: list[float] = field(default_factory=list)
    estimated: bool = False
    client_held: float = 0.0

    def add(self, news: ExchangeNews) -> None:
        self.opened = news.opened or self.opened
        self.closed = news.closed or self.closed
        self.first_token_at = self.first_token_at or news.first_token_at
        self.counted += news.first_tokens + news.more_tokens + sum(news.tokens)
        for gap_ns, tokens in zip(news.gaps_ns, news.tokens, strict=True):
            self.gaps.append(gap_ns / 1e9)
            self.paces.append((gap_ns / 1e9 / tokens, tokens))
        self.estimated = self.estimated or news.estimated
        self.client_held += news.client_held_ns / 1e9

    @property
    def pace(self) -> float:
        """The median seconds a token, with what the total says of pieces."""
        paces, seen, all_tokens = sorted(self.paces), 0, sum(tokens for _, tokens in self.paces)
        ratio = 1.0
        if self.closed is not None and self.closed.deltas and self.closed.completion_tokens > 0:
            ratio = self.closed.completion_tokens / self.closed.deltas
        for pace, tokens in paces:
            seen += tokens
            if seen >= all_tokens / 2:
                return pace / ratio
        raise AssertionError("no gap was observed")


@dataclass
class Side:
    """One end of a connection."""

    sent: bytearray = field(default_factory=bytearray)
    got: bytearray = field(default_factory=bytearray)
    ended: str = ""
    """``eof`` or ``reset``, as the other side ended it."""
    place: int = 0
    """Up to here, what was received was awaited."""
    moved: float = field(default_factory=time.monotonic)


@dataclass
class Played:
    """What became of one condition."""

    client: Side = field(default_factory=Side)
    engine: list[Side] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    busy: int = 0
    """Scripts of the engine that are not over."""
    stretch: float = 1.0
    """How much longer the engine took than its script says: a busy machine."""

    @property
    def is_over(self) -> bool:
        """The engine did all that its scripts say, and the client has all of it. (Of our own answers: there is one.)"""
        return not self.busy and len(self.client.got) >= sum(len(side.sent) for side in self.engine)


class Stage:
    """One relay worker, the engine behind it and the daemon's socket."""

    def __init__(self, conditions: Iterable[Condition]) -> None:
        self._conditions = {condition.name: condition for condition in conditions}
        self.played = {name: Played() for name in self._conditions}
        self._told: dict[str, Told] = {}
        self._frames: list[RelayFrame] = []
        self._daemon: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def play(self) -> dict[str, Played]:
        with tempfile.TemporaryDirectory(prefix="relay") as directory:
            facts = f"{directory}/f"
            daemon = await asyncio.start_unix_server(self._hear, facts)
            engine = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            port = _free_port()
            plan = RelayPlan(
                worker=0, listen=f"127.0.0.1:{port}", run_directory=directory, facts=facts, tag_header=CASE_HEADER,
                upstream=f"http://127.0.0.1:{engine.sockets[0].getsockname()[1]}",
            )  # fmt: skip
            program = [sys.executable, "-m", "watchtower.programs.relay", msgspec.json.encode(plan).decode()]
            root = str(Path(__file__).parents[3])
            worker = await asyncio.create_subprocess_exec(*program, env={**os.environ, "PYTHONPATH": root})
            try:
                await _until(lambda: bool(self._frames))
                await asyncio.gather(*(self._ask(condition, port) for condition in self._conditions.values()))
                newest = self._frames[-1].sequence
                await _until(lambda: self._frames[-1].sequence > newest + 1)
            finally:
                worker.terminate()
                await worker.wait()
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                daemon.close()
                engine.close()
        for told in self._told.values():
            self.played[told.opened.tag].told.append(told)
        for played in self.played.values():
            played.counters = self._frames[-1].counters
        return self.played

    # ── the daemon ──────────────────────────────────────────────────────────────────────────────

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._daemon.append(writer)
        deframer: Deframer[RelayMessage] = Deframer(msgspec.msgpack.Decoder(RelayMessage))
        while data := await reader.read(65536):
            for message in deframer.feed(data):
                if isinstance(message, RelayFrame):
                    self._frames.append(message)
                    for news in message.news:
                        if news.opened is not None and news.id not in self._told:
                            self._told[news.id] = Told(news.opened)
                        self._told[news.id].add(news)

    def _order(self, order: WorkerOrder) -> None:
        for writer in self._daemon:
            writer.write(frame(order))

    # ── engine and client ───────────────────────────────────────────────────────────────────────

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        side = Side()
        self._start(_listen(reader, side))
        try:
            await _until(lambda: b"\r\n\r\n" in side.got)
            name = _NAME.search(side.got)
            assert name is not None
            condition = self._conditions[name[1].decode()]
            played = self.played[condition.name]
            played.engine.append(side)
            script = condition.engine[min(len(played.engine), len(condition.engine)) - 1]
            began = time.monotonic()
            played.busy += 1
            try:
                await self._steps(script, writer, side, played)
            finally:
                played.busy -= 1
            nominal = sum(step for step in script if isinstance(step, float))
            if nominal:
                played.stretch = max(played.stretch, (time.monotonic() - began) / nominal)
        except (ConnectionError, TimeoutError):
            pass

    async def _ask(self, condition: Condition, port: int) -> None:
        played = self.played[condition.name]
        side = played.client
        handle = socket.socket()
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        handle.setblocking(False)
        await asyncio.get_running_loop().sock_connect(handle, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=handle)
        self._start(_listen(reader, side))
        script = condition.client or (request(condition.name), Do.AWAIT_ANSWER)
        try:
            await self._steps(script, writer, side, played)
        except ConnectionError:
            pass
        writer.close()

    def _start(self, work: object) -> None:
        self._tasks.add(asyncio.ensure_future(work))  # type: ignore[call-overload]

    async def _steps(self, script: Script, writer: asyncio.StreamWriter, side: Side, played: Played) -> None:
        for step in script:
            if isinstance(step, bytes):
                side.sent += step
                writer.write(step)
                await writer.drain()
            elif isinstance(step, Comes):
                await _until(lambda what=step.what: what in side.got)
            elif isinstance(step, float):
                await asyncio.sleep(step)
            else:
                await self._do(step, writer, side, played)

    async def _do(self, step: Do, writer: asyncio.StreamWriter, side: Side, played: Played) -> None:
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport)
        match step:
            case Do.AWAIT_HEAD:
                await _until(lambda: b"\r\n\r\n" in side.got[side.place :])
                side.place = side.got.index(b"\r\n\r\n", side.place) + 4
            case Do.AWAIT_BODY:
                heads = side.got[: side.place]
                lengths = _LENGTH.findall(bytes(heads))
                size = side.place + int(lengths[-1] if lengths else 0)
                await _until(lambda: len(side.got) >= size)
                side.place = size
            case Do.AWAIT_QUIET:
                came = side.place
                await _until(lambda: bool(side.ended) or (len(side.got) > came and _quiet(side)))
                side.place = len(side.got)
            case Do.AWAIT_ANSWER:
                came = side.place
                await _until(
                    lambda: (
                        bool(side.ended)
                        or (len(side.got) > came and played.is_over and (bool(played.engine) or _quiet(side)))
                    )
                )
                side.place = len(side.got)
            case Do.AWAIT_END:
                await _until(lambda: bool(side.ended))
            case Do.CLOSE:
                writer.close()
            case Do.HALF_CLOSE:
                writer.write_eof()
            case Do.RESET:
                handle = writer.get_extra_info("socket")
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                transport.abort()
            case Do.STOP_READING:
                transport.pause_reading()
            case Do.GO_ON_READING:
                transport.resume_reading()
            case Do.HOLD:
                self._order(HoldOrder(op_id="op", seconds=20, wait_seconds=1, max_parked=9, max_bytes=1 << 20))
                await _until(lambda: self._frames[-1].hold_op == "op")
            case Do.RELEASE:
                self._order(ReleaseOrder(op_id="op"))


async def _listen(reader: asyncio.StreamReader, side: Side) -> None:
    try:
        while data := await reader.read(65536):
            side.got += data
            side.moved = time.monotonic()
        side.ended = "eof"
    except ConnectionError:
        side.ended = "reset"


def _quiet(side: Side) -> bool:
    return time.monotonic() - side.moved > _QUIET_SECONDS


async def _until(condition: object) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110  (it waits for plain values)
            await asyncio.sleep(0.002)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
