"""vLLM's dev-mode control over the simulated engine: pause, sleep, prefix cache, weights.

No key guards these routes, as none guards the real ones; ``--no-dev-mode`` removes them all.
"""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from watchtower.lab.simulator import language, wire
from watchtower.lab.simulator.loop import EngineLoop, PauseMode


class Control:
    """One endpoint a method; each answers in the shape that vLLM 0.32 answers in."""

    def __init__(self, engine: EngineLoop) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        return [
            Route("/pause", self.pause, methods=["POST"]),
            Route("/resume", self.resume, methods=["POST"]),
            Route("/is_paused", self.is_paused),
            Route("/sleep", self.sleep, methods=["POST"]),
            Route("/wake_up", self.wake_up, methods=["POST"]),
            Route("/is_sleeping", self.is_sleeping),
            Route("/abort_requests", self.abort_requests, methods=["POST"]),
            Route("/reset_prefix_cache", self.reset_prefix_cache, methods=["POST"]),
            Route("/collective_rpc", self.collective_rpc, methods=["POST"]),
            Route("/weight_checker", self.weight_checker, methods=["POST"]),
            Route("/weight_info", self.weight_info),
            Route("/update_weight_version", self.update_weight_version, methods=["POST"]),
            Route("/get_world_size", self.world_size),
        ]

    async def pause(self, request: Request) -> Response:
        mode = request.query_params.get("mode", PauseMode.ABORT)
        if mode not in set(PauseMode):
            return JSONResponse(wire.error(f"unknown pause mode {mode!r}", "BadRequestError", 400), 400)
        await self._engine.pause(PauseMode(mode))
        return JSONResponse({"status": "paused"})

    async def resume(self, _: Request) -> Response:
        self._engine.resume()
        return JSONResponse({"status": "resumed"})

    async def is_paused(self, _: Request) -> Response:
        return JSONResponse({"is_paused": self._engine.paused})

    async def sleep(self, _: Request) -> Response:
        self._engine.sleep()
        return Response(status_code=200)

    async def wake_up(self, _: Request) -> Response:
        self._engine.wake_up()
        return Response(status_code=200)

    async def is_sleeping(self, _: Request) -> Response:
        return JSONResponse({"is_sleeping": self._engine.asleep or self._engine.paused})

    async def abort_requests(self, request: Request) -> Response:
        ids = set((await body_of(request)).get("request_ids") or ())
        self._engine.abort(ids or None)
        return Response(status_code=200)

    async def reset_prefix_cache(self, _: Request) -> Response:
        self._engine.prefixes.reset()
        return JSONResponse({"success": True})

    async def collective_rpc(self, request: Request) -> Response:
        call = await body_of(request)
        if call.get("method") != "reload_weights":
            return JSONResponse(wire.error("only reload_weights is simulated", "BadRequestError", 400), 400)
        if not self._engine.load(str((call.get("kwargs") or {}).get("weights_path") or self._engine.model.checkpoint)):
            return JSONResponse(wire.error("the weights cannot be read", "InternalServerError", 500), 500)
        return JSONResponse({"results": [None] * self._engine.model.ranks})

    async def weight_checker(self, request: Request) -> Response:
        if (await body_of(request)).get("action") != "checksum":
            return JSONResponse(wire.error("only action checksum is simulated", "BadRequestError", 400), 400)
        if not self._engine.checkpoint:
            return JSONResponse(wire.error("tensors without data", "InternalServerError", 500), 500)
        return JSONResponse({"checksums": language.checksums(self._engine.checkpoint, self._engine.model.ranks)})

    async def weight_info(self, _: Request) -> Response:
        return JSONResponse({"weight_version": self._engine.weight_version})

    async def update_weight_version(self, request: Request) -> Response:
        self._engine.weight_version = str((await body_of(request)).get("new_version") or "default")
        return JSONResponse({"weight_version": self._engine.weight_version})

    async def world_size(self, _: Request) -> Response:
        return JSONResponse({"world_size": self._engine.model.ranks})


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object of ``request``, empty without a body. Raises ``wire.BadRequest``."""
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=dict[str, Any])
    except msgspec.DecodeError as problem:
        raise wire.BadRequest(f"the body is no JSON object: {problem}") from problem
