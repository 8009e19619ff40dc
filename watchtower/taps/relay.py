"""One relay worker: what all its connections share, from accepting the first to draining the last."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from watchtower.clock import boottime_ns
from watchtower.exchanges.ledger import Ledger
from watchtower.exchanges.sampling import Sampler
from watchtower.taps.client import ClientConnection
from watchtower.taps.guard import Guard
from watchtower.taps.hold import Hold
from watchtower.taps.plan import RelayPlan, upstream_address
from watchtower.vocabulary.words import CAUSED, RELAY_COUNTERS

_REST_SECONDS: Final = 1.0
"""How often idle connections are looked for."""


class Relay:
    def __init__(self, plan: RelayPlan, loop: asyncio.AbstractEventLoop, pid: int) -> None:
        """Raises BadInput for an upstream that cannot be forwarded to."""
        self.plan = plan
        self.loop = loop
        self.upstream = upstream_address(plan.upstream)
        self.guard = Guard(plan.guard, plan.allow_paths)
        self.ledger = Ledger(f"{plan.worker}.{pid}")
        self.on_change: Callable[[], None] = lambda: None
        """Called when a hold began or ended."""
        self.hold = Hold(loop, lambda: self.on_change())
        self.counters = dict.fromkeys(RELAY_COUNTERS, 0)
        self.sampler = Sampler(self.count)
        self.draining = False
        self._connections: set[ClientConnection] = set()
        self._server: asyncio.Server | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    def count(self, name: str) -> None:
        self.counters[name] += 1

    def caused(self, kind: str) -> None:
        """A client got an error that we made."""
        self.counters[CAUSED + kind] += 1

    def join(self, connection: ClientConnection) -> bool:
        """A client connected. False: it is one too many, and should be told so."""
        self.count("connections")
        self._connections.add(connection)
        self._empty.clear()
        return len(self._connections) <= self.plan.max_connections

    def leave(self, connection: ClientConnection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    async def listen(self, listening: socket.socket) -> None:
        """Accept clients on ``listening``, which stays open in whoever else holds it."""
        self._server = await self.loop.create_server(lambda: ClientConnection(self), sock=listening, backlog=2048)
        self.loop.call_later(_REST_SECONDS, self._rest)

    def _rest(self) -> None:
        now_ns = boottime_ns()
        for connection in list(self._connections):
            connection.rest(now_ns)
        if not self.draining:
            self.loop.call_later(_REST_SECONDS, self._rest)

    async def drain(self, seconds: float) -> None:
        """Accept nobody else, let what is open end, and cut off what has not ended after ``seconds``."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            if connection.idle:
                connection.close()
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.shut_down()
