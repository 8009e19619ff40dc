"""What can be looked at: metrics, health, and the board as JSON. Open to whoever reaches the listener."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from watchtower.board import Board
from watchtower.ports import Clock
from watchtower.vocabulary.errors import StorageFault

Render = Callable[[str], tuple[bytes, str]]
"""Metrics text and content type for an Accept header."""
Timeline = Callable[[str], Awaitable[list[dict[str, Any]]]]
"""The journal's records of one incident, oldest first. Raises StorageFault."""

OLD_SECONDS = 15.0
"""What the board says of the engine lapses after this, as the relay workers' word does."""
NO_LOOK: dict[str, Any] = {"source": None, "because": "not looked yet", "gpus": [], "placement": []}


class BoardApi:
    """Handlers that read the board and wait for nobody; only the records of an incident come from the journal."""

    def __init__(
        self, board: Board, clock: Clock, *, render: Render, timeline: Timeline, healthy: Callable[[], str]
    ) -> None:
        """``healthy()`` answers "" or why the loop is not alive."""
        self._board = board
        self._clock = clock
        self._render = render
        self._timeline = timeline
        self._healthy = healthy

    def routes(self) -> list[Route]:
        return [
            Route("/metrics", self.metrics),
            Route("/-/healthy", self.healthy),
            Route("/-/ready", self.ready),
            Route("/-/serving", self.serving),
            Route("/api/v1/status", self.status),
            Route("/api/v1/latency", self.latency),
            Route("/api/v1/incidents", self.incidents),
            Route("/api/v1/incidents/{id}", self.incident),
            Route("/api/v1/actions", self.actions),
            Route("/api/v1/gpus", self.gpus),
            Route("/api/v1/checkpoints", self.checkpoints),
            Route("/api/v1/drift", self.drift),
        ]

    async def metrics(self, request: Request) -> Response:
        body, kind = self._render(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": kind})

    async def healthy(self, request: Request) -> Response:
        because = self._healthy()
        return PlainTextResponse(because or "ok", 503 if because else 200)

    async def ready(self, request: Request) -> Response:
        because = self._board.ready_because
        return PlainTextResponse(because or "ready", 503 if because else 200)

    async def serving(self, request: Request) -> Response:
        """Whether anybody should be sent here, for gateways: 503 only where it is proven that the engine is dead or
        hangs. Never an engine's liveness probe: whoever restarts by it restarts beside us, and in a hold."""
        word = self._board.serving
        last = self._board.last_tick
        if last is None or self._clock.now().boot - last.boot > OLD_SECONDS:
            word = {"known": False, "serving": True, "reason": "not known: nothing was evaluated lately"}
        return JSONResponse(word, 503 if word["known"] and not word["serving"] else 200)

    async def status(self, request: Request) -> Response:
        return JSONResponse(self._board.status(self._clock.now()))

    async def latency(self, request: Request) -> Response:
        return JSONResponse({"seconds": [{"wall": wall, "p95": value} for wall, value in self._board.latency]})

    async def incidents(self, request: Request) -> Response:
        return JSONResponse({"incidents": self._board.incidents})

    async def incident(self, request: Request) -> Response:
        """One incident with its actions and everything that was written down of it."""
        wanted, board = request.path_params["id"], self._board
        found = next((incident for incident in board.incidents if incident["id"] == wanted), None)
        if found is None:
            known = ", ".join(str(incident["id"]) for incident in board.incidents[:5]) or "none yet"
            raise HTTPException(404, f"no incident {wanted!r}; the newest are: {known}")
        actions = [action for action in board.actions if action["incident"] == wanted]
        try:
            records, because = await self._timeline(wanted), ""
        except StorageFault as fault:
            records, because = [], str(fault)
        return JSONResponse({"incident": found, "actions": actions, "records": records, "records_because": because})

    async def actions(self, request: Request) -> Response:
        return JSONResponse({"actions": self._board.actions})

    async def gpus(self, request: Request) -> Response:
        return JSONResponse(self._board.gpus or NO_LOOK)

    async def checkpoints(self, request: Request) -> Response:
        return JSONResponse(self._board.checkpoints)

    async def drift(self, request: Request) -> Response:
        return JSONResponse(self._board.output_shift)
