"""The engine's half of a connection pair: the hot path.

Each read is stamped, written to the client, and only then looked at. The client's transport is set to send at once
instead of at the end of the loop's turn (see ``client_connection.py``), so "written first" is true on the wire as well.
An upstream belongs to one client connection and is never shared.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Final, Protocol, cast

from watchtower.clock import boottime_ns
from watchtower.exchanges.responses import ResponseReader
from watchtower.taps.socket_addresses import Address

_MAX_PENDING_BYTES: Final = 256 * 1024
"""More than this for a connection that is not up yet stops reading from the client."""

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


class Downstream(Protocol):
    """What an upstream tells its client connection."""

    def answer_moved(self) -> None:
        """An answer ended, or can no longer be followed."""

    def upstream_full(self, full: bool) -> None: ...

    def upstream_gone(self, upstream: UpstreamConnection, cut: bool) -> None:
        """The engine closed; ``cut``: by a reset or an error, not by an EOF."""

    def upstream_unreachable(self, upstream: UpstreamConnection) -> None: ...


class UpstreamConnection(asyncio.Protocol):
    """Starts to connect when made; what is sent before it is up waits. ``write`` is the client transport's own."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        address: Address,
        connect_seconds: float,
        client: Downstream,
        write: Callable[[bytes], None],
        reader: ResponseReader,
    ) -> None:
        self._loop = loop
        self._client: Downstream | None = client
        self._write = write
        self._reader = reader
        self._transport: asyncio.Transport | None = None
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._paused = False
        self.behind = False
        """Something of the newest read is still to be gone through."""
        self.observing = True
        self.timed_out = False
        """It was not reached because nobody answered in time; otherwise it was refused."""
        self.exhausted = False
        """It is not the engine that cannot be reached: it is we who have no descriptor or port left."""
        self.moved_ns = 0
        """When bytes last came."""
        self._connecting = loop.create_task(self._connect(loop, address, connect_seconds), name="connect upstream")

    async def _connect(self, loop: asyncio.AbstractEventLoop, address: Address, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                if address.path:
                    await loop.create_unix_connection(lambda: self, address.path)
                else:
                    await loop.create_connection(lambda: self, address.host, address.port)
        except OSError as problem:
            self.timed_out = isinstance(problem, TimeoutError)
            self.exhausted = problem.errno in _EXHAUSTED
            if self._client is not None:
                self._client.upstream_unreachable(self)

    def send(self, data: bytes) -> None:
        """Forward ``data``, now or as soon as the connection is up."""
        if self._transport is not None:
            self._transport.write(data)
            return
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes > _MAX_PENDING_BYTES and self._client is not None:
            self._client.upstream_full(True)

    def follow(self, reader: ResponseReader) -> None:
        """The next bytes begin an answer, and ``reader`` reads it."""
        self._reader = reader
        self.observing = True

    def hold_back(self, paused: bool) -> None:
        """Stop (or go on) reading from the engine: the client's buffer is full (or empty again)."""
        self._paused = paused
        self._read_or_not()

    def _read_or_not(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            if self._paused or self.behind:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def drop(self) -> None:
        """Close, and say nothing more to the client."""
        self._client = None
        self._connecting.cancel()
        if self._transport is not None:
            self._transport.abort()

    # asyncio calls these.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._client is None:
            self._transport.abort()
            return
        if self._pending:
            self._transport.write(b"".join(self._pending))
            self._pending.clear()
            self._pending_bytes = 0
            self._client.upstream_full(False)
        if self._paused:
            self._transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        ns = boottime_ns()
        self._write(data)
        self.moved_ns = ns
        if self.observing:
            reader = self._reader
            if reader.feed(data, ns):
                self._go_on()
            elif not (reader.awaited and reader.in_sync) and self._client is not None:
                self._client.answer_moved()

    def _go_on(self) -> None:
        """The newest read is long: its next piece has its own turn of the loop, and no other read comes before."""
        self.behind = True
        self._read_or_not()
        self._loop.call_soon(self._next_piece)

    def _next_piece(self) -> None:
        reader = self._reader
        if self.observing and self._client is not None:
            if reader.go_on():
                self._loop.call_soon(self._next_piece)
                return
            if not (reader.awaited and reader.in_sync):
                self._client.answer_moved()
        self.behind = False
        self._read_or_not()

    def pause_writing(self) -> None:
        if self._client is not None:
            self._client.upstream_full(True)

    def resume_writing(self) -> None:
        if self._client is not None:
            self._client.upstream_full(False)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.behind and self._client is not None:
            self._loop.call_soon(self.connection_lost, exc)  # what came is gone through first, a piece a turn
        elif self._client is not None:
            client, self._client = self._client, None
            client.upstream_gone(self, exc is not None)
