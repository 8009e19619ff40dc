"""The worker's line to the daemon: facts out, orders in.

Nothing is sent per event: five times a second, if there is news, one frame takes all of it (a frame costs by the
exchange, however much it brings of each); without news one frame a second says that the worker lives. While the daemon
is away (or does not read) news gathers in the table of exchanges, within bounds, and the worker tries to reach it for
ever. A faster tick measures how late the loop is.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

import msgspec

from watchtower.clock import boottime, boottime_ns
from watchtower.taps.framing import Deframer, frame
from watchtower.taps.relay_state import RelayState
from watchtower.vocabulary.errors import ProtocolFault
from watchtower.vocabulary.facts import (
    ORDERS,
    HoldState,
    OrderNotUnderstood,
    RelayFrame,
    RelayHello,
    ServingOrder,
    WorkerOrder,
)
from watchtower.vocabulary.samples import SampleOrder

TICK_SECONDS: Final = 0.05
"""How often the loop's lateness is measured, and what was put off is read."""
FRAME_SECONDS: Final = 0.2
"""At most this often a frame, except for one that acknowledges an order. Judges look once a second."""
HEARTBEAT_SECONDS: Final = 1.0
MAX_GAPS_KEPT: Final = 50_000
"""Gaps that wait for an absent daemon; more than this are dropped and counted."""
_RETRY_SECONDS: Final = (0.2, 0.4, 0.8, 1.0)

_orders: msgspec.msgpack.Decoder[WorkerOrder] = msgspec.msgpack.Decoder(WorkerOrder)


class Reporter(asyncio.Protocol):
    """One per worker; the protocol of whichever connection to the daemon is up."""

    def __init__(self, relay: RelayState, pid: int, version: str, listening: str) -> None:
        self._relay = relay
        self._pid = pid
        self._version = version
        self._listening = listening
        self._transport: asyncio.Transport | None = None
        self._deframer = Deframer(_orders, self._not_understood)
        self._connecting: asyncio.Task[None] | None = None
        self._failures = 0
        self._full = False
        self._sequence = 0
        self._sent_at = 0.0
        self._due_ns = 0
        self._lag_ns = 0
        relay.on_change = self._send_frame

    def start(self) -> None:
        self._due_ns = boottime_ns() + round(TICK_SECONDS * 1e9)
        self._relay.loop.call_later(TICK_SECONDS, self._tick)
        self._connect()

    def close(self) -> None:
        """Say the last news and hang up."""
        if self._transport is not None:
            self._send_frame()
            self._transport.close()

    def _connect(self) -> None:
        if self._relay.plan.facts:
            self._connecting = self._relay.loop.create_task(self._try_to_connect(), name="reach daemon")

    async def _try_to_connect(self) -> None:
        try:
            await self._relay.loop.create_unix_connection(lambda: self, self._relay.plan.facts)
        except OSError:
            self._retry()

    def _retry(self) -> None:
        wait = _RETRY_SECONDS[min(self._failures, len(_RETRY_SECONDS) - 1)]
        self._failures += 1
        self._relay.loop.call_later(wait, self._connect)

    def _tick(self) -> None:
        now_ns = boottime_ns()
        self._lag_ns = max(self._lag_ns, now_ns - self._due_ns)
        self._due_ns = now_ns + round(TICK_SECONDS * 1e9)
        self._relay.loop.call_later(TICK_SECONDS, self._tick)
        self._relay.exchanges.backlog.read()
        if self._transport is None or self._full:
            self._relay.exchanges.shed(MAX_GAPS_KEPT)
        elif now_ns * 1e-9 - self._sent_at >= (FRAME_SECONDS if self._has_news else HEARTBEAT_SECONDS):
            self._send_frame()

    @property
    def _has_news(self) -> bool:
        return self._relay.exchanges.has_news or self._relay.passing.has_news

    def _send_frame(self) -> None:
        if self._transport is None or self._full:
            return
        relay = self._relay
        self._sequence += 1
        self._sent_at = boottime()
        news = relay.exchanges.drain()
        observed = len(relay.exchanges.open)
        working = max(observed, relay.passing.working)
        message = RelayFrame(
            at=self._sent_at,
            worker=relay.plan.worker,
            pid=self._pid,
            sequence=self._sequence,
            open_exchanges=working,
            open_unobserved=working - observed,
            answering=relay.passing.answering,
            unread=relay.passing.unread,
            parked=relay.hold.parked,
            hold=HoldState.OPEN if relay.bypassed else relay.hold.state,
            hold_op=relay.hold.op_id,
            loop_lag_seconds=max(0, self._lag_ns) * 1e-9,
            dropped_news=relay.exchanges.dropped,
            counters=relay.counters,
            news=news,
            routes=relay.passing.take(),
            contacts=relay.contacts.newest(),
            bypassed=relay.bypassed,
        )
        self._lag_ns = 0
        self._transport.write(frame(message))
        for sample in relay.sampler.take():
            self._transport.write(frame(sample))

    # asyncio calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._deframer = Deframer(_orders, self._not_understood)
        self._failures = 0
        self._full = False
        hello = RelayHello(
            at=boottime(),
            worker=self._relay.plan.worker,
            pid=self._pid,
            version=self._version,
            listening=self._listening,
            upstream=self._relay.plan.upstream,
            samples=True,
            understands=ORDERS,
        )
        self._transport.write(frame(hello))
        self._relay.exchanges.restate()
        self._relay.passing.restate()
        self._send_frame()

    def data_received(self, data: bytes) -> None:
        try:
            for order in self._deframer.feed(data):
                if isinstance(order, SampleOrder):
                    self._relay.sampler.obey(order)
                elif isinstance(order, ServingOrder):
                    self._relay.serving.obey(order)
                else:
                    self._relay.hold.obey(order)
        except ProtocolFault:
            if self._transport is not None:
                self._transport.abort()

    def _not_understood(self, order: str) -> None:
        if self._transport is not None:
            relay = self._relay
            answer = OrderNotUnderstood(at=boottime(), worker=relay.plan.worker, pid=self._pid, order=order)
            self._transport.write(frame(answer))

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._relay.sampler.stop()
        if not self._relay.draining:
            self._retry()
