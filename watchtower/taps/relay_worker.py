"""One relay worker, from accepting its first connection to draining its last."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Final

from watchtower.clock import SystemClock, boottime_ns
from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.dialects import DIALECTS
from watchtower.taps.bypass import LOOK_SECONDS, bypass_path, read_bypass
from watchtower.taps.client_connection import ClientConnection
from watchtower.taps.relay_plan import RelayPlan
from watchtower.taps.relay_state import Connection, RelayState
from watchtower.vocabulary.facts import Bypassed

REST_SECONDS: Final = 1.0
"""How often idle connections are looked for."""
MOST_A_TURN: Final = 256
"""Connections that are looked at in one turn of the loop: less than a millisecond."""


class RelayWorker:
    def __init__(
        self, plan: RelayPlan, loop: asyncio.AbstractEventLoop, pid: int, dialects: Sequence[Dialect] = DIALECTS
    ) -> None:
        """Raises BadInput for an upstream that cannot be forwarded to."""
        self.state = RelayState(plan, loop, pid, dialects)
        self._server: asyncio.Server | None = None
        self._bypass_file = bypass_path(plan.run_directory)
        self._own_bypass = self._by_itself() if plan.forward_only else None

    async def listen(self, listening: socket.socket) -> None:
        """Accept clients on ``listening``, which stays open in whoever else holds it."""
        loop = self.state.loop
        self._server = await loop.create_server(lambda: ClientConnection(self.state), sock=listening, backlog=2048)
        loop.call_later(REST_SECONDS, self._rest)
        self._look_for_bypass()

    @staticmethod
    def _by_itself() -> Bypassed:
        reason = "workers died while they read; a restart of Watchtower tries again"
        return Bypassed("Watchtower itself", reason, SystemClock().now().wall, by_itself=True)

    def _look_for_bypass(self) -> None:
        bypassed = read_bypass(self._bypass_file) or self._own_bypass
        if bypassed != self.state.bypassed:
            self.state.bypass(bypassed)
        self.state.loop.call_later(LOOK_SECONDS, self._look_for_bypass)

    def _rest(self) -> None:
        self._rest_some(list(self.state.connections))

    def _rest_some(self, connections: list[Connection]) -> None:
        """Look at a turn's worth of ``connections``; those of them that have left meanwhile are not looked at."""
        now_ns = boottime_ns()
        for connection in connections[-MOST_A_TURN:]:
            if connection in self.state.connections:
                connection.rest(now_ns)
        del connections[-MOST_A_TURN:]
        if connections:
            self.state.loop.call_soon(self._rest_some, connections)
        elif not (self.state.draining and self.state.empty.is_set()):
            self.state.loop.call_later(REST_SECONDS, self._rest)

    async def drain(self, seconds: float, hurry: asyncio.Event | None = None) -> bool:
        """Accept nobody else and let what is open end. False: after ``seconds``, or once ``hurry`` was set, something
        is still open."""
        self.state.draining = True
        if self._server is not None:
            self._server.close()
        for connection in list(self.state.connections):
            if connection.idle:
                connection.close()
        loop = self.state.loop
        awaited = {loop.create_task(event.wait()) for event in (self.state.empty, hurry) if event is not None}
        _, left = await asyncio.wait(awaited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()
        return self.state.empty.is_set()

    def cut(self) -> None:
        """End what has not ended."""
        for connection in list(self.state.connections):
            connection.shut_down()
