"""HTTP around the simulated engine: OpenAI's routes, vLLM's metrics, health and dev-mode control, and ``/sim``.

As in the real one, ``/health`` answers 200 for as long as the HTTP server lives: paused, asleep or hung. The control
routes need no key, as vLLM's dev mode needs none; ``--no-dev-mode`` removes them. Only ``/sim`` is our own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from watchtower import __version__
from watchtower.lab.simulator import language, wire
from watchtower.lab.simulator.loop import EngineLoop, PauseMode
from watchtower.lab.simulator.ranks import Fault
from watchtower.lab.simulator.scheduler import Finish
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
    started_wall = clock.now().wall
    serials = count(1)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        tasks = TaskGroup(clock.sleep)
        tasks.start("engine-loop", engine.run, restart_after=None)
        yield
        await tasks.stop()

    # ── generation ────────────────────────────────────────────────────────────────────────────

    def generation(chat: bool) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            if not engine.accepting:
                return JSONResponse(wire.error("the engine is paused", "ServiceUnavailable", 503), 503)
            if not engine.checkpoint:
                return JSONResponse(wire.error("tensors without data", "InternalServerError", 500), 500)
            try:
                asked = wire.parse(
                    await request.body(),
                    chat=chat,
                    model=engine.model.name,
                    max_model_len=engine.model.max_model_len,
                )
            except wire.BadRequest as refused:
                return JSONResponse(wire.error(str(refused), refused.kind, refused.status), refused.status)
            if chat:
                asked = asked.written_out(engine.written_out(asked.prompt))
            now = clock.now()
            token_ids = list(asked.prompt_token_ids)
            writer = wire.Writer(
                asked,
                id=f"{'chatcmpl' if chat else 'cmpl'}-{identity.pid}-{next(serials)}",
                model=engine.model.name,
                created=int(now.wall),
                prompt_token_ids=token_ids,
                prompt_logprobs=engine.logprobs(token_ids) if asked.prompt_logprobs else None,
            )
            if asked.stream:
                return StreamingResponse(_stream(engine, writer), media_type="text/event-stream")
            whole = await _or_client_leaves(_whole(engine, writer), request)
            return JSONResponse(whole)

        return endpoint

    async def models(_: Request) -> Response:
        card = {
            "id": engine.model.name,
            "object": "model",
            "created": int(started_wall),
            "owned_by": "watchtower",
            "root": engine.model.checkpoint,
            "parent": None,
            "max_model_len": engine.model.max_model_len,
        }
        return JSONResponse({"object": "list", "data": [card]})

    # ── looking ───────────────────────────────────────────────────────────────────────────────

    async def health(_: Request) -> Response:
        return Response(status_code=200)

    async def version(_: Request) -> Response:
        return JSONResponse({"version": VERSION, "op_id": identity.op_id, "reason": identity.reason})

    async def metrics(_: Request) -> Response:
        text = engine.measurements.text(engine.model.name, hung=engine.hung, started_wall=started_wall)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    # ── /sim ──────────────────────────────────────────────────────────────────────────────────

    async def state(_: Request) -> Response:
        return JSONResponse(
            {
                "at": clock.now().boot,
                **msgspec.to_builtins(identity),
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

    async def gpus(_: Request) -> Response:
        report = engine.devices.report(clock.now().boot)
        return Response(msgspec.json.encode(report), media_type="application/json")

    async def fault(request: Request) -> Response:
        try:
            engine.set_fault(msgspec.json.decode(await request.body(), type=Fault))
        except (msgspec.DecodeError, ValueError) as problem:
            return JSONResponse(wire.error(str(problem), "BadRequestError", 400), 400)
        return await state(request)

    # ── control, as in vLLM's dev mode ────────────────────────────────────────────────────────

    async def pause(request: Request) -> Response:
        mode = request.query_params.get("mode", PauseMode.ABORT)
        if mode not in set(PauseMode):
            return JSONResponse(wire.error(f"unknown pause mode {mode!r}", "BadRequestError", 400), 400)
        await engine.pause(PauseMode(mode))
        return JSONResponse({"status": "paused"})

    async def resume(_: Request) -> Response:
        engine.resume()
        return JSONResponse({"status": "resumed"})

    async def is_paused(_: Request) -> Response:
        return JSONResponse({"is_paused": engine.paused})

    async def sleep(_: Request) -> Response:
        engine.sleep()
        return Response(status_code=200)

    async def wake_up(_: Request) -> Response:
        engine.wake_up()
        return Response(status_code=200)

    async def is_sleeping(_: Request) -> Response:
        return JSONResponse({"is_sleeping": engine.asleep or engine.paused})

    async def abort_requests(request: Request) -> Response:
        ids = set((await _json(request)).get("request_ids") or ())
        engine.abort(ids or None)
        return Response(status_code=200)

    async def reset_prefix_cache(_: Request) -> Response:
        engine.prefixes.reset()
        return JSONResponse({"success": True})

    async def collective_rpc(request: Request) -> Response:
        call = await _json(request)
        if call.get("method") != "reload_weights":
            return JSONResponse(wire.error("only reload_weights is simulated", "BadRequestError", 400), 400)
        if not engine.load(str((call.get("kwargs") or {}).get("weights_path") or engine.model.checkpoint)):
            return JSONResponse(wire.error("the weights cannot be read", "InternalServerError", 500), 500)
        return JSONResponse({"results": [None] * engine.model.ranks})

    async def weight_checker(request: Request) -> Response:
        if (await _json(request)).get("action") != "checksum":
            return JSONResponse(wire.error("only action checksum is simulated", "BadRequestError", 400), 400)
        if not engine.checkpoint:
            return JSONResponse(wire.error("tensors without data", "InternalServerError", 500), 500)
        return JSONResponse({"checksums": language.checksums(engine.checkpoint, engine.model.ranks)})

    async def weight_info(_: Request) -> Response:
        return JSONResponse({"weight_version": engine.weight_version})

    async def update_weight_version(request: Request) -> Response:
        engine.weight_version = str((await _json(request)).get("new_version") or "default")
        return JSONResponse({"weight_version": engine.weight_version})

    async def world_size(_: Request) -> Response:
        return JSONResponse({"world_size": engine.model.ranks})

    async def bad_request(_: Request, refused: Exception) -> Response:
        return JSONResponse(wire.error(str(refused), "BadRequestError", 400), 400)

    async def nobody_listens(_: Request, __: Exception) -> Response:
        return Response(status_code=499)

    control = [
        Route("/pause", pause, methods=["POST"]),
        Route("/resume", resume, methods=["POST"]),
        Route("/is_paused", is_paused),
        Route("/sleep", sleep, methods=["POST"]),
        Route("/wake_up", wake_up, methods=["POST"]),
        Route("/is_sleeping", is_sleeping),
        Route("/abort_requests", abort_requests, methods=["POST"]),
        Route("/reset_prefix_cache", reset_prefix_cache, methods=["POST"]),
        Route("/collective_rpc", collective_rpc, methods=["POST"]),
        Route("/weight_checker", weight_checker, methods=["POST"]),
        Route("/weight_info", weight_info),
        Route("/update_weight_version", update_weight_version, methods=["POST"]),
        Route("/get_world_size", world_size),
    ]
    return Starlette(
        routes=[
            Route("/v1/chat/completions", generation(chat=True), methods=["POST"]),
            Route("/v1/completions", generation(chat=False), methods=["POST"]),
            Route("/v1/models", models),
            Route("/health", health),
            Route("/ping", health, methods=["GET", "POST"]),
            Route("/version", version),
            Route("/metrics", metrics),
            Route("/sim/state", state),
            Route("/sim/gpus", gpus),
            Route("/sim/fault", fault, methods=["POST"]),
            *(control if dev_mode else ()),
        ],
        exception_handlers={wire.BadRequest: bad_request, ClientDisconnect: nobody_listens},
        lifespan=lifespan,
    )


async def _stream(engine: EngineLoop, writer: wire.Writer) -> AsyncIterator[bytes]:
    request = writer.request
    async with engine.generate(writer.id, request.prompt, request.max_tokens, request.cache_salt) as emissions:
        opening = writer.opening()
        async for emission in emissions:
            if opening:
                yield opening
                opening = b""
            yield writer.chunk(emission)
        yield writer.closing()


async def _whole(engine: EngineLoop, writer: wire.Writer) -> dict[str, Any]:
    request = writer.request
    pieces: list[str] = []
    finish = Finish.ABORT
    async with engine.generate(writer.id, request.prompt, request.max_tokens, request.cache_salt) as emissions:
        async for emission in emissions:
            if emission.piece is not None:
                pieces.append(emission.piece)
            finish = emission.finish or finish
    return writer.whole(pieces, finish)


async def _or_client_leaves(work: Awaitable[dict[str, Any]], request: Request) -> dict[str, Any]:
    """The result of ``work``; ClientDisconnect, with the work cancelled, when the client leaves first."""
    running = asyncio.ensure_future(work)  # noqa: TID251 — both futures end inside this function
    leaving = asyncio.ensure_future(_disconnected(request))  # noqa: TID251
    try:
        await asyncio.wait((running, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            raise ClientDisconnect
        return running.result()
    finally:
        for future in (running, leaving):
            future.cancel()
        await asyncio.gather(running, leaving, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _json(request: Request) -> dict[str, Any]:
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=dict[str, Any])
    except msgspec.DecodeError as problem:
        raise wire.BadRequest(f"the body is no JSON object: {problem}") from problem
