"""HTTP around the simulated engine: OpenAI's routes, vLLM's metrics, health and dev-mode control, and ``/sim``.

As in the real one, ``/health`` answers 200 for as long as the HTTP server lives: paused, asleep or hung. The control
routes need no key, as vLLM's dev mode needs none; ``--no-dev-mode`` removes them. Only ``/sim`` is our own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from watchtower import __version__
from watchtower.lab.simulator import wire
from watchtower.lab.simulator.control import Control
from watchtower.lab.simulator.generation import Generation
from watchtower.lab.simulator.loop import EngineLoop
from watchtower.lab.simulator.ranks import Fault
from watchtower.ports import Clock
from watchtower.tasks import TaskGroup

VERSION = f"{__version__}+simulator"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this process is, and why it was started: a supervisor stamps both into the environment."""

    pid: int
    started: str
    """Clock ticks since boot (field 22 of ``/proc/<pid>/stat``)."""
    boot_id: str
    op_id: str = ""
    reason: str = ""


def own_identity(pid: int, boot_id: str, environment: dict[str, str]) -> Identity:
    """Read this process's identity from ``/proc`` and its environment."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    started = stat.rpartition(")")[2].split()[19]
    return Identity(
        pid, started, boot_id, environment.get("WATCHTOWER_OP_ID", ""), environment.get("WATCHTOWER_REASON", "")
    )


def make_app(engine: EngineLoop, clock: Clock, identity: Identity, *, dev_mode: bool = True) -> Starlette:
    """The whole HTTP face. The engine's loop runs for as long as the application does."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        tasks = TaskGroup(clock.sleep)
        tasks.start("engine-loop", engine.run, restart_after=None)
        yield
        await tasks.stop()

    return Starlette(
        routes=[
            *Generation(engine, clock, identity.pid).routes(),
            *Display(engine, clock, identity).routes(),
            *(Control(engine).routes() if dev_mode else ()),
        ],
        exception_handlers={wire.BadRequest: _bad_request, ClientDisconnect: _nobody_listens},
        lifespan=lifespan,
    )


async def _bad_request(_: Request, refused: Exception) -> Response:
    return JSONResponse(wire.error(str(refused), "BadRequestError", 400), 400)


async def _nobody_listens(_: Request, __: Exception) -> Response:
    return Response(status_code=499)


class Display:
    """What the engine shows of itself: model card, health, metrics, and ``/sim``, where faults are set, too."""

    def __init__(self, engine: EngineLoop, clock: Clock, identity: Identity) -> None:
        self._engine = engine
        self._clock = clock
        self._identity = identity
        self._started_wall = clock.now().wall

    def routes(self) -> list[Route]:
        return [
            Route("/v1/models", self.models),
            Route("/health", self.health),
            Route("/ping", self.health, methods=["GET", "POST"]),
            Route("/version", self.version),
            Route("/metrics", self.metrics),
            Route("/sim/state", self.state),
            Route("/sim/gpus", self.gpus),
            Route("/sim/fault", self.fault, methods=["POST"]),
        ]

    async def models(self, _: Request) -> Response:
        card = {
            "id": self._engine.model.name,
            "object": "model",
            "created": int(self._started_wall),
            "owned_by": "watchtower",
            "root": self._engine.model.checkpoint,
            "parent": None,
            "max_model_len": self._engine.model.max_model_len,
        }
        return JSONResponse({"object": "list", "data": [card]})

    async def health(self, _: Request) -> Response:
        return Response(status_code=200)

    async def version(self, _: Request) -> Response:
        return JSONResponse({"version": VERSION, "op_id": self._identity.op_id, "reason": self._identity.reason})

    async def metrics(self, _: Request) -> Response:
        engine = self._engine
        text = engine.measurements.text(engine.model.name, hung=engine.hung, started_wall=self._started_wall)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    async def state(self, _: Request) -> Response:
        engine = self._engine
        return JSONResponse(
            {
                "at": self._clock.now().boot,
                **msgspec.to_builtins(self._identity),
                "steps": engine.measurements.steps,
                "last_step_seconds": list(engine.last_step),
                "token_seconds": engine.model.token_seconds,
                "running": len(engine.scheduler.running),
                "waiting": len(engine.scheduler.waiting),
                "paused": engine.paused,
                "asleep": engine.asleep,
                "checkpoint": engine.checkpoint,
                "declared_checkpoint": engine.model.checkpoint,
                "fault": msgspec.to_builtins(engine.fault),
                "fault_since": engine.fault_since,
            }
        )

    async def gpus(self, _: Request) -> Response:
        report = self._engine.devices.report(self._clock.now().boot)
        return Response(msgspec.json.encode(report), media_type="application/json")

    async def fault(self, request: Request) -> Response:
        try:
            self._engine.set_fault(msgspec.json.decode(await request.body(), type=Fault))
        except (msgspec.DecodeError, ValueError) as problem:
            return JSONResponse(wire.error(str(problem), "BadRequestError", 400), 400)
        return await self.state(request)
