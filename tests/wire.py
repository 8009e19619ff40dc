"""A TCP recorder for tests: stands on one side of the relay and writes down every byte of every connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass
class Recording:
    """One connection: what the connecting side sent, and what came back."""

    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)


class Recorder:
    """Listens on a free port, forwards to ``host:port``, keeps both directions apart. Knows no protocol."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self.connections: list[Recording] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> Recorder:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recording = Recording()
        self.connections.append(recording)
        up_reader, up_writer = await asyncio.open_connection(*self._upstream)
        for source, sink, tape in (
            (reader, up_writer, recording.sent),
            (up_reader, writer, recording.received),
        ):
            task = asyncio.create_task(self._copy(source, sink, tape))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @staticmethod
    async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter, tape: bytearray) -> None:
        try:
            while data := await source.read(65536):
                tape += data
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()


def paired(near: Recorder, far: Recorder) -> list[tuple[Recording, Recording]]:
    """Match each connection before the relay with its one connection behind it, by what was sent on it.

    Raises AssertionError when a connection has no partner, or more than one.
    """
    rest = list(far.connections)
    pairs = []
    for recording in near.connections:
        partners = [other for other in rest if other.sent == recording.sent]
        assert partners, f"no connection behind the relay carried the same {len(recording.sent)} request bytes"
        partner = partners[0]
        rest.remove(partner)
        pairs.append((recording, partner))
    return pairs
