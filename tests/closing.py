"""A server that closes a connection just as the next request arrives: the worst moment for one that was kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ClosingServer:
    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.url = ""
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        await reader.readexactly(int(lengths[0].partition(b":")[2]) if lengths else 0)
        writer.write(self._answer)
        await reader.read(1)  # the next request, or the end of a connection that nobody keeps
        writer.close()


@asynccontextmanager
async def closing_server(body: bytes) -> AsyncIterator[ClosingServer]:
    """Answers 200 with ``body``."""
    closing = ClosingServer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    server = await asyncio.start_server(closing.serve, "127.0.0.1", 0)
    closing.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield closing
    finally:
        server.close()
