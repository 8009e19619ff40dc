"""A relay between a scripted engine and a raw client, all on loopback sockets."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest_asyncio
import uvloop

from watchtower.taps.listening import bound
from watchtower.taps.relay_plan import RelayPlan
from watchtower.taps.relay_state import RelayState
from watchtower.taps.relay_worker import RelayWorker
from watchtower.taps.socket_addresses import Address

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


async def answer_everything(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request that has no body, or one of the length it says."""
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await reader.readexactly(int(line.split(b":")[1]))
        writer.write(ANSWER)


class Engine:
    """Records every byte that reaches it, by connection."""

    def __init__(self, script: Script = answer_everything) -> None:
        self.script = script
        self.received: list[bytearray] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.ended: list[asyncio.Event] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received, ended = bytearray(), asyncio.Event()
        self.received.append(received)
        self.writers.append(writer)
        self.ended.append(ended)
        tee = asyncio.StreamReader()

        async def scripted() -> None:
            try:
                await self.script(tee, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass

        task = asyncio.create_task(scripted())
        try:
            while data := await reader.read(65536):
                received += data
                tee.feed_data(data)
        except ConnectionError:
            pass
        finally:
            tee.feed_eof()
            ended.set()
            await task
            writer.close()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self.writers:
            writer.close()


class Bench:
    """The relay under test and what is around it."""

    def __init__(self, worker: RelayWorker, engine: Engine, port: int) -> None:
        self.worker = worker
        self.relay: RelayState = worker.state
        self.engine = engine
        self.port = port
        self.clients: list[asyncio.StreamWriter] = []

    async def client(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.clients.append(writer)
        return reader, writer

    async def ask(self, request: bytes, quiet_seconds: float = 0.2) -> bytes:
        """Send, wait for the first byte, then read until the relay closes or nothing came for a moment."""
        reader, writer = await self.client()
        writer.write(request)
        try:
            first = await asyncio.wait_for(reader.read(65536), 5)
        except TimeoutError:
            return b""
        return first + (await self.read(reader, quiet_seconds) if first else b"")

    async def read(self, reader: asyncio.StreamReader, quiet_seconds: float = 0.15) -> bytes:
        received = b""
        try:
            async with asyncio.timeout(5):
                while data := await asyncio.wait_for(reader.read(65536), quiet_seconds):
                    received += data
        except TimeoutError:
            pass
        return received

    def caused(self) -> dict[str, int]:
        prefix = "relay_caused_errors."
        return {k.removeprefix(prefix): n for k, n in self.relay.counters.items() if k.startswith(prefix) and n}


async def until(condition: Callable[[], bool], seconds: float = 3.0) -> None:
    """Wait for ``condition``; fail after ``seconds``."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  (it waits for plain values of the product)
            await asyncio.sleep(0.005)


Start = Callable[..., Awaitable[Bench]]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that relay workers run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture
async def start(tmp_path: Any) -> AsyncIterator[Start]:
    """``await start(script, **knobs)``: a relay in front of a new engine."""
    benches: list[Bench] = []

    async def begin(script: Script = answer_everything, *, engine_up: bool = True, **knobs: Any) -> Bench:
        engine = Engine(script)
        if engine_up:
            await engine.start()
        else:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                engine.port = probe.getsockname()[1]
        plan = RelayPlan(
            worker=0,
            listen="127.0.0.1:0",
            run_directory=str(tmp_path),
            **{"upstream": f"http://127.0.0.1:{engine.port}", **knobs},
        )
        worker = RelayWorker(plan, asyncio.get_running_loop(), os.getpid())
        listening = bound(Address(host="127.0.0.1"))
        port = listening.getsockname()[1]
        await worker.listen(listening)
        benches.append(Bench(worker, engine, port))
        return benches[-1]

    yield begin
    for bench in benches:
        for writer in bench.clients:
            writer.close()
        await bench.worker.drain(0.05)
        bench.worker.cut()
        await bench.engine.stop()
    await asyncio.sleep(0.02)
