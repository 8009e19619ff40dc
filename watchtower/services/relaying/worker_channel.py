"""Talking with the relay workers: their facts come in, orders go out, over one Unix socket.

Only workers of this target are listened to, and only they are told anything. Whoever connects later, because it was
started again or because we were, hears of a hold that still lives and of the sampling in force; one that holds for an
operation that was released meanwhile is told so.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import structlog

from watchtower.ports import Clock
from watchtower.taps.framing import Deframer, frame
from watchtower.taps.handover import peer_pid, same_user
from watchtower.vocabulary.errors import ProtocolFault
from watchtower.vocabulary.facts import (
    HoldOrder,
    HoldState,
    OrderNotUnderstood,
    RelayEnded,
    RelayFrame,
    RelayGone,
    RelayHello,
    RelayMessage,
    RelayOrder,
    ReleaseOrder,
    ServingOrder,
)
from watchtower.vocabulary.samples import ExchangeSampled, SampleOrder

READ_BYTES: Final = 256 * 1024

log = structlog.get_logger("watchtower.relays")

RelayFact = RelayHello | RelayFrame | RelayGone | RelayEnded
OnFact = Callable[[RelayFact], None]
OnSample = Callable[[ExchangeSampled], None]
Refusal = Callable[[int, RelayHello], str]
"""Why the process of this pid, which says this, is no worker of ours; "" when it is."""
MOST_REMEMBERED: Final = 64
"""Refused processes that are known again: each is logged once, however often it tries."""


class WorkerChannel:
    """The daemon's end, for all workers."""

    def __init__(self, clock: Clock, on_fact: OnFact, on_sample: OnSample, refusal: Refusal) -> None:
        self._clock = clock
        self._refusal = refusal
        self._on_fact = on_fact
        self._on_sample = on_sample
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._writers: set[asyncio.StreamWriter] = set()  # those of workers of ours
        self._samplers: set[asyncio.StreamWriter] = set()  # those of workers that know how to sample
        self._sampling = SampleOrder(ratio=0)
        self._asked_by_others: set[asyncio.StreamWriter] = set()  # those of workers that answer /-/serving
        self._spoke: set[int] = set()
        self._strangers: deque[int] = deque(maxlen=MOST_REMEMBERED)
        self.refused = 0
        """Processes that are no workers of ours."""
        self.skipped: Counter[str] = Counter()
        """Messages by name that only a newer worker knows, and orders that only a newer daemon does."""
        self._hold: tuple[HoldOrder, float] | None = None  # and when it is over, CLOCK_BOOTTIME
        self._released: deque[str] = deque(maxlen=16)  # a worker that was away then still has to hear of it

    @property
    def connected(self) -> int:
        """Workers that talk to us."""
        return len(self._writers)

    async def open(self, path: Path) -> None:
        """Raises OSError."""
        with suppress(FileNotFoundError):
            os.unlink(path)
        self._server = await asyncio.start_unix_server(self._converse, path=path)
        os.chmod(path, 0o600)

    async def close(self) -> None:
        for writer in list(self._connections):
            writer.close()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def order(self, order: RelayOrder) -> None:
        """Tell every worker, and every one that connects later while a hold lives."""
        if isinstance(order, HoldOrder):
            self._hold = (order, self._clock.now().boot + order.seconds)
        else:
            self._released.append(order.op_id)
            if self._hold is not None and self._hold[0].op_id == order.op_id:
                self._hold = None
        message = frame(order)
        for writer in self._writers:
            writer.write(message)

    def sample(self, order: SampleOrder) -> None:
        """Every worker, also one that connects later, takes samples like this from now on."""
        self._sampling = order
        message = frame(order)
        for writer in self._samplers:
            writer.write(message)

    def serving(self, order: ServingOrder) -> None:
        """Every worker answers like this until the order lapses; renewed so often that latecomers need no word."""
        message = frame(order)
        for writer in self._asked_by_others:
            writer.write(message)

    def heard(self) -> set[int]:
        """Pids of the workers that spoke since this was last asked."""
        spoke, self._spoke = self._spoke, set()
        return spoke

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello: RelayHello | None = None
        deframer: Deframer[RelayMessage] = Deframer(msgspec.msgpack.Decoder(RelayMessage), self._skip)
        self._connections.add(writer)
        try:
            pid = _pid_of(writer.get_extra_info("socket"))
            while pid is not None and (data := await reader.read(READ_BYTES)):
                for message in deframer.feed(data):
                    if hello is None:
                        hello = self._admitted(pid, message)
                        if hello is None:
                            return
                        self._writers.add(writer)
                        self._repeat_hold(writer)
                    self._spoke.add(pid)
                    self._take(message, writer)
        except ProtocolFault as problem:
            log.error("relay worker does not speak our protocol", because=str(problem))
        except ConnectionError:
            pass  # it died; its pidfd says so as well
        finally:
            self._connections.discard(writer)
            self._writers.discard(writer)
            self._samplers.discard(writer)
            self._asked_by_others.discard(writer)
            writer.close()
            if hello is not None:
                self._on_fact(RelayGone(at=self._clock.now().boot, worker=hello.worker, pid=hello.pid))

    def _admitted(self, pid: int, first: RelayMessage) -> RelayHello | None:
        """The hello of a worker of ours; None for anybody else, by the first message."""
        if not isinstance(first, RelayHello):
            because = "it does not say who it is"
        elif not (because := self._refusal(pid, first)):
            return first
        if pid not in self._strangers:
            self._strangers.append(pid)
            self.refused += 1
            log.error("relay.stranger", pid=pid, because=because)
        return None

    def _take(self, message: RelayMessage, writer: asyncio.StreamWriter) -> None:
        match message:
            case ExchangeSampled():
                self._on_sample(message)
            case OrderNotUnderstood():
                log.warning("an older relay worker does not understand an order", order=message.order)
                self.skipped[message.order] += 1
            case RelayHello():
                self._begin_sampling(message, writer)
                if message.obeys("serving"):
                    self._asked_by_others.add(writer)
                self._on_fact(message)
            case RelayFrame():
                if message.hold is HoldState.HOLDING and message.hold_op in self._released:
                    writer.write(frame(ReleaseOrder(op_id=message.hold_op)))
                self._on_fact(message)

    def _skip(self, name: str) -> None:
        self.skipped[name] += 1
        if self.skipped[name] == 1:
            log.warning("a relay worker says what this version does not know; it is skipped", message=name)

    def _begin_sampling(self, hello: RelayHello, writer: asyncio.StreamWriter) -> None:
        if hello.obeys("sample"):
            self._samplers.add(writer)
            writer.write(frame(self._sampling))

    def _repeat_hold(self, writer: asyncio.StreamWriter) -> None:
        if self._hold is None:
            return
        order, until = self._hold
        left = until - self._clock.now().boot
        if left <= 0:
            self._hold = None
        else:
            writer.write(frame(msgspec.structs.replace(order, seconds=left)))


def _pid_of(peer: socket.socket) -> int | None:
    """Of the process at the other end, where it runs as us; None where it does not."""
    with socket.socket(fileno=os.dup(peer.fileno())) as same:
        return peer_pid(same) if same_user(same) else None
