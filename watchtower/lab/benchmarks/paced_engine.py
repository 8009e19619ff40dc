"""``python -m watchtower.lab.benchmarks.paced_engine '<Pace as JSON>'``: an engine's streams, paced and stamped.

Each POST is answered with ``max_tokens`` events in the shape of one dialect (``stream_shapes``; vLLM's chat with
continuous usage is about 290 bytes an event), one an HTTP chunk. Each has in it the CLOCK_BOOTTIME nanosecond at which
it was written, so the reader knows how long it was under way, and its number, so a missing one shows.
A chunk that is late is stamped when it leaves: the engine's lateness is never the proxy's.
"""

from __future__ import annotations

import asyncio
import gc
import math
import sys
from typing import Final, cast

import httptools
import msgspec
import uvloop

from watchtower.clock import boottime_ns
from watchtower.lab.benchmarks.stream_shapes import SHAPES

_GOLDEN: Final = (math.sqrt(5) - 1) / 2
"""Multiples of it spread evenly over the period, however many streams there are."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    rate: float
    """Chunks a second of each stream."""
    together: bool = False
    """All streams get their chunk at the same instant, as an engine's step gives it; otherwise they are spread."""
    at_once: bool = False
    """The first chunk of each comes as soon as it is asked for."""
    dialect: str = "openai_chat"


class _StreamRequest(msgspec.Struct):
    max_tokens: int


def http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Stream(asyncio.Protocol):
    """One connection; one answer at a time, keep-alive."""

    def __init__(self, pace: Pace, number: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._pace = pace
        self._shape = SHAPES[pace.dialect]
        self._number = number
        self._parser = httptools.HttpRequestParser(self)
        self._body = bytearray()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._begun = 0.0
        self._sent = self._tokens = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._tokens = msgspec.json.decode(self._body, type=_StreamRequest).max_tokens
        self._body.clear()
        self._sent = 0
        period, now = 1 / self._pace.rate, self._loop.time()
        phase = 0.0 if self._pace.together else (self._number * _GOLDEN) % 1 * period
        self._begun = (math.floor(now / period) + 1) * period + phase
        if self._pace.at_once:
            self._begun = now
        if self._transport is not None:
            self._transport.write(self._shape.head + b"".join(map(http_chunk, self._shape.first)))
            self._timer = self._loop.call_at(self._begun, self._next)

    def _next(self) -> None:
        if self._transport is None:
            return
        self._sent += 1
        sent = self._sent
        stamp = {b"ns": boottime_ns(), b"n": sent, b"total": 24 + sent}
        self._transport.write(http_chunk(self._shape.token % stamp))
        if sent < self._tokens:
            self._timer = self._loop.call_at(self._begun + sent / self._pace.rate, self._next)
        else:
            self._transport.write(b"".join(http_chunk(event % stamp) for event in self._shape.last) + b"0\r\n\r\n")


async def serve(pace: Pace) -> None:
    """Serve until killed; the first line on standard output is the port."""
    count = 0

    def stream() -> Stream:
        nonlocal count
        count += 1
        return Stream(pace, count)

    server = await asyncio.get_running_loop().create_server(stream, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    gc.freeze()
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(msgspec.json.decode(sys.argv[1], type=Pace)))
