"""A real HTTP receiver on the loopback, which answers as it is told and remembers what it got."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HANG = b"hang"
RESET = b"reset"
HUGE = b"huge"
DRIP = b"drip"


def status(code: int, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {code} Something", "Content-Length: 0", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


class Request(NamedTuple):
    line: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    def __init__(self) -> None:
        self.answers: list[bytes] = []
        """Taken from the front; the last one stays. None: 200."""
        self.requests: list[Request] = []
        self.port = 0

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.requests]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await reader.readexactly(int(headers["content-length"]))
            exact = dict(line.split(": ", 1) for line in head[1:] if line)
            headers |= {name: value for name, value in exact.items() if name.startswith("webhook-")}
            self.requests.append(Request(head[0], headers, body))
            await self._answer(self._next(), writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _next(self) -> bytes:
        if len(self.answers) > 1:
            return self.answers.pop(0)
        return self.answers[0] if self.answers else OK

    async def _answer(self, answer: bytes, writer: asyncio.StreamWriter) -> None:
        if answer == HANG:
            await asyncio.sleep(30)
        elif answer == RESET:
            lingering = struct.pack("ii", 1, 0)  # closing then sends RST
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
            writer.transport.abort()
        elif answer == DRIP:
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.05)
        elif answer == HUGE:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        else:
            writer.write(answer)
            await writer.drain()


@asynccontextmanager
async def receiving(
    *answers: bytes, ssl_context: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    receiver.answers = list(answers)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", port, ssl=ssl_context)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
