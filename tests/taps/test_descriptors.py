"""A real worker with very few descriptors: it goes on accepting, refuses in words, and never loses its daemon."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from tests.taps.conftest import ANSWER, Engine, Start, until
from watchtower.taps.framing import Deframer
from watchtower.taps.listening import bound
from watchtower.taps.places import KEPT_BACK
from watchtower.taps.relay_plan import RelayPlan
from watchtower.taps.socket_addresses import Address
from watchtower.vocabulary.facts import RelayFrame, RelayMessage

DESCRIPTORS = 128
GET = b"GET /v1/models HTTP/1.1\r\nHost: e\r\n\r\n"


class Daemon:
    """Hears what a worker says of itself."""

    def __init__(self) -> None:
        self.counters: dict[str, int] = {}
        self.frames = 0

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        deframer: Deframer[Any] = Deframer(msgspec.msgpack.Decoder(RelayMessage))
        while data := await reader.read(1 << 16):
            for message in deframer.feed(data):
                if isinstance(message, RelayFrame):
                    self.frames += 1
                    self.counters = message.counters
        writer.close()


class PoorWorker:
    def __init__(self, port: int, engine: Engine, daemon: Daemon) -> None:
        self.port = port
        self.engine = engine
        self.daemon = daemon
        self.clients: list[asyncio.StreamWriter] = []

    async def connect(self, first: bytes) -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.clients.append(writer)
        writer.write(first)
        return reader

    async def ask(self) -> bytes:
        reader = await self.connect(GET)
        return await asyncio.wait_for(reader.read(len(ANSWER)), 5)

    def leave(self) -> None:
        for writer in self.clients:
            writer.transport.abort()
        self.clients.clear()


@pytest_asyncio.fixture
async def poor(tmp_path: Path) -> AsyncIterator[PoorWorker]:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            if b"slow" not in head:
                writer.write(ANSWER)

    engine, daemon = Engine(slow), Daemon()
    await engine.start()
    facts = await asyncio.start_unix_server(daemon.hear, tmp_path / "facts.sock")
    listening = bound(Address(host="127.0.0.1"))
    plan = RelayPlan(
        worker=0,
        listen="127.0.0.1:0",
        listen_fd=listening.fileno(),
        upstream=f"http://127.0.0.1:{engine.port}",
        run_directory=str(tmp_path),
        facts=str(tmp_path / "facts.sock"),
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "watchtower.programs.relay",
        json.dumps(msgspec.to_builtins(plan)),
        pass_fds=[listening.fileno()],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS // 2, DESCRIPTORS)),
    )
    worker = PoorWorker(listening.getsockname()[1], engine, daemon)
    await until(lambda: daemon.frames > 0, 10)
    yield worker
    worker.leave()
    process.terminate()
    await process.wait()
    facts.close()
    listening.close()
    await engine.stop()


@pytest.mark.parametrize("first", [b"", GET[:-2]], ids=["silent", "half a head"])
async def test_many_more_clients_than_descriptors_keep_no_request_out(poor: PoorWorker, first: bytes) -> None:
    async def come() -> None:
        try:
            await poor.connect(first)
        except ConnectionError:
            pass  # it was let go before it could say anything

    for _ in range(4):
        await asyncio.gather(*(come() for _ in range(DESCRIPTORS)))
        assert await poor.ask() == ANSWER
    frames = poor.daemon.frames
    await until(lambda: poor.daemon.frames > frames, 5)
    assert poor.daemon.counters["clients_let_go"] > DESCRIPTORS


async def test_when_all_descriptors_carry_requests_the_next_is_told_so(poor: PoorWorker) -> None:
    slow = GET.replace(b"models", b"slow")
    most = (DESCRIPTORS - KEPT_BACK) // 2
    for _ in range(most):
        await poor.connect(slow)
    await until(lambda: len(poor.engine.received) == most)
    refused = [await poor.ask() for _ in range(3)]

    assert all(answer.startswith(b"HTTP/1.1 503 ") for answer in refused)
    await until(lambda: poor.daemon.counters.get("descriptors_short", 0) == 3)
    assert poor.daemon.counters["relay_caused_errors.connection_limit"] == 3
    poor.leave()
    await until(lambda: all(ended.is_set() for ended in poor.engine.ended))
    assert await poor.ask() == ANSWER


async def test_a_burst_that_takes_every_descriptor_at_once_is_survived(poor: PoorWorker) -> None:
    sockets = []
    for _ in range(3 * DESCRIPTORS):  # the kernel takes them all in while the worker has one turn
        client = socket.create_connection(("127.0.0.1", poor.port))
        client.setblocking(False)
        sockets.append(client)
    await asyncio.sleep(0.5)
    for client in sockets:
        client.close()
    assert await poor.ask() == ANSWER
    frames = poor.daemon.frames
    await until(lambda: poor.daemon.frames > frames, 5)


async def test_an_engine_that_we_cannot_reach_for_want_of_a_descriptor_is_not_called_unreachable(start: Start) -> None:
    bench = await start()
    reader, writer = await bench.client()
    await until(lambda: bool(bench.relay.connections))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open(os.devnull, os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 200, hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        writer.write(GET)
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert answer == b"HTTP/1.1 503 Service Unavailable\r\n"
    assert bench.relay.counters["descriptors_short"] == 1
    assert bench.caused() == {"connection_limit": 1}
    assert await bench.ask(GET) == ANSWER
