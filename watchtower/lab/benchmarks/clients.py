"""``python -m watchtower.lab.benchmarks.clients '<Load as JSON>'``: clients that miss nothing and time everything.

Each stream is one connection and one request. It counts as complete only if every numbered chunk came once and in
order, the end marker came, and the HTTP message ended as its framing promised; nothing is ever sent twice. The delay
of a chunk is the instant of the read that brought it minus the stamp in it. Prints one ``LoadResult`` as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import re
import sys
from array import array
from typing import Final, cast

import httptools
import msgspec
import uvloop

from watchtower.clock import boottime_ns
from watchtower.lab.benchmarks.stream_shapes import SHAPES

_STAMP: Final = re.compile(rb"(\d{12,})\.(\d+)")


class Load(msgspec.Struct, frozen=True, kw_only=True):
    port: int
    path: str
    streams: int
    tokens: int
    """Chunks of each stream."""
    dialect: str = "openai_chat"
    deadline_seconds: float
    """What has not ended by then is incomplete."""


class LoadResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the clients got. Delays in microseconds."""

    complete: int
    """Streams with every chunk, the end marker and the end of the message."""
    chunks: int
    p50_us: float
    p99_us: float
    max_us: float


class Client(asyncio.Protocol):
    def __init__(self, load: Load, delays: array[int], ended: asyncio.Queue[bool]) -> None:
        self._load = load
        shape = SHAPES[load.dialect]
        self._end_of_event = shape.end
        self._mark = (shape.last[-1] % {b"n": load.tokens, b"total": 24 + load.tokens}).removesuffix(shape.end)
        self._delays = delays
        self._ended: asyncio.Queue[bool] | None = ended
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._ns = 0
        self._count = 0
        self._intact = True
        self._marked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        body = msgspec.json.encode(
            {
                "model": "bench",
                "messages": [{"role": "user", "content": "Count."}],
                "max_tokens": self._load.tokens,
                "stream": True,
                "stream_options": {"include_usage": True, "continuous_usage_stats": True},
            }
        )
        head = (
            f"POST {self._load.path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode("ascii") + body)

    def data_received(self, data: bytes) -> None:
        self._ns = boottime_ns()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._end(whole=False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(whole=False)

    # httptools calls these, by these names.

    def on_body(self, body: bytes) -> None:
        *events, self._rest = (self._rest + body).split(self._end_of_event)
        for event in events:
            found = _STAMP.search(event)
            if found is not None:
                self._count += 1
                self._intact = self._intact and int(found[2]) == self._count and not self._marked
                self._delays.append(self._ns - int(found[1]))
            elif event == self._mark:
                self._marked = True

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self._end(whole=status == 200 and self._intact and self._marked and self._count == self._load.tokens)

    def _end(self, whole: bool) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended.put_nowait(whole)
            if self._transport is not None:
                self._transport.close()


async def run(load: Load) -> LoadResult:
    """Every stream at once; returns when all have ended, or at the deadline."""
    loop = asyncio.get_running_loop()
    delays: array[int] = array("q")
    ended: asyncio.Queue[bool] = asyncio.Queue()
    complete = 0
    try:
        async with asyncio.timeout(load.deadline_seconds):
            for _ in range(load.streams):
                try:
                    await loop.create_connection(lambda: Client(load, delays, ended), "127.0.0.1", load.port)
                except OSError:
                    ended.put_nowait(False)
            for _ in range(load.streams):
                complete += await ended.get()
    except TimeoutError:
        pass
    ranked = sorted(delays)
    return LoadResult(
        complete=complete,
        chunks=len(ranked),
        p50_us=quantile(ranked, 0.5) / 1e3,
        p99_us=quantile(ranked, 0.99) / 1e3,
        max_us=quantile(ranked, 1) / 1e3,
    )


def quantile(ranked: list[int], q: float) -> float:
    """Nearest rank; 0 of nothing."""
    return ranked[min(len(ranked) - 1, int(q * len(ranked)))] if ranked else 0.0


if __name__ == "__main__":
    gc.disable()  # a collection here would be read as a delay there
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(msgspec.json.encode(runner.run(run(msgspec.json.decode(sys.argv[1], type=Load)))).decode())
