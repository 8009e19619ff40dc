"""The generation routes of the simulated engine: a request read, queued, and answered whole or as a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from itertools import count
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from watchtower.lab.simulator import wire
from watchtower.lab.simulator.loop import EngineLoop
from watchtower.lab.simulator.scheduler import Finish
from watchtower.ports import Clock


class Generation:
    """Chats and completions. Ids count up over both, so that no two exchanges of a process share one."""

    def __init__(self, engine: EngineLoop, clock: Clock, pid: int) -> None:
        self._engine = engine
        self._clock = clock
        self._pid = pid
        self._serials = count(1)

    def routes(self) -> list[Route]:
        return [
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/completions", self.completion, methods=["POST"]),
        ]

    async def chat(self, request: Request) -> Response:
        return await self._answer(request, chat=True)

    async def completion(self, request: Request) -> Response:
        return await self._answer(request, chat=False)

    async def _answer(self, request: Request, *, chat: bool) -> Response:
        engine = self._engine
        if not engine.accepting:
            return JSONResponse(wire.error("the engine is paused", "ServiceUnavailable", 503), 503)
        if not engine.checkpoint:
            return JSONResponse(wire.error("tensors without data", "InternalServerError", 500), 500)
        model, body = engine.model, await request.body()
        try:
            asked = wire.parse(body, chat=chat, model=model.name, max_model_len=model.max_model_len)
        except wire.BadRequest as refused:
            return JSONResponse(wire.error(str(refused), refused.kind, refused.status), refused.status)
        if chat:
            asked = asked.written_out(engine.written_out(asked.prompt))
        writer = self._writer(asked)
        if asked.stream:
            return StreamingResponse(_stream(engine, writer), media_type="text/event-stream")
        return JSONResponse(await _or_client_leaves(_whole(engine, writer), request))

    def _writer(self, asked: wire.GenerationRequest) -> wire.Writer:
        token_ids = list(asked.prompt_token_ids)
        return wire.Writer(
            asked,
            id=f"{'chatcmpl' if asked.chat else 'cmpl'}-{self._pid}-{next(self._serials)}",
            model=self._engine.model.name,
            created=int(self._clock.now().wall),
            prompt_token_ids=token_ids,
            prompt_logprobs=self._engine.logprobs(token_ids) if asked.prompt_logprobs else None,
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
