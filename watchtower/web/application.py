"""The HTTP face: metrics, health, the JSON API and the console page.

Reads are open on loopback. Changes need the local Unix socket (its file mode is the permission) or the bearer token.
Handlers read the board and submit commands; they decide nothing and never wait for the engine.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from watchtower.board import Board
from watchtower.ports import Clock
from watchtower.settings import WebSettings

COMMANDS = ("pause", "resume", "ack_resume", "ack_resolve", "breaker_reset")

Submit = Callable[[str, str, str, float], None]
"""(verb, author, reason, seconds)"""
Timeline = Callable[[str], Awaitable[list[dict[str, Any]]]]
"""The journal's records of one incident, oldest first."""
Render = Callable[[str], tuple[bytes, str]]
"""Metrics text and content type for an Accept header."""


def application(
    *,
    board: Board,
    clock: Clock,
    settings: WebSettings,
    render_metrics: Render,
    timeline: Timeline,
    submit: Submit,
    healthy: Callable[[], str],
) -> Starlette:
    """``healthy()`` answers "" or why the loop is not alive."""

    async def metrics(request: Request) -> Response:
        body, kind = render_metrics(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": kind})

    async def get_healthy(request: Request) -> Response:
        because = healthy()
        return PlainTextResponse(because or "ok", 503 if because else 200)

    async def get_ready(request: Request) -> Response:
        return PlainTextResponse(board.ready_because or "ready", 503 if board.ready_because else 200)

    async def status(request: Request) -> Response:
        return JSONResponse(board.status(clock.now()))

    async def incidents(request: Request) -> Response:
        return JSONResponse({"incidents": board.incidents})

    async def incident(request: Request) -> Response:
        wanted = request.path_params["id"]
        found = next((entry for entry in board.incidents if entry["id"] == wanted), None)
        if found is None:
            known = ", ".join(str(entry["id"]) for entry in board.incidents[:5]) or "none yet"
            raise HTTPException(404, f"no incident {wanted!r}; the newest are: {known}")
        actions = [action for action in board.actions if action["incident"] == wanted]
        return JSONResponse({"incident": found, "actions": actions, "records": await timeline(wanted)})

    async def actions(request: Request) -> Response:
        return JSONResponse({"actions": board.actions})

    async def gpus(request: Request) -> Response:
        return JSONResponse(board.gpus or {"source": None, "because": "not looked yet", "gpus": [], "placement": []})

    async def command(request: Request) -> Response:
        _may_change(request, settings)
        verb = request.path_params["verb"].replace("-", "_")
        if verb not in COMMANDS:
            raise HTTPException(404, f"no command {verb!r}; there are: {', '.join(COMMANDS)}")
        try:
            body = await request.json() if int(request.headers.get("content-length") or 0) else {}
            author, reason = str(body.get("author", "")), str(body.get("reason", ""))
            seconds = float(body.get("seconds", 0))
        except (ValueError, AttributeError) as problem:
            raise HTTPException(400, "the body must be a JSON object {author, reason, seconds}") from problem
        if not author or (verb != "resume" and not reason):
            raise HTTPException(400, "author and reason are required, so that the next on-call engineer knows")
        submit(verb, author, reason, seconds)
        return JSONResponse({"accepted": verb}, 202)

    async def console(request: Request) -> Response:
        page = files("watchtower.web").joinpath("console.html").read_text(encoding="utf-8")
        return HTMLResponse(page, headers=_PAGE_HEADERS)

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _ASSETS:
            raise HTTPException(404, f"no asset {name!r}")
        text = files("watchtower.web").joinpath(name).read_text(encoding="utf-8")
        return Response(text, media_type=_ASSETS[name], headers=_PAGE_HEADERS)

    async def refused(request: Request, problem: Exception) -> Response:
        assert isinstance(problem, HTTPException)
        return JSONResponse({"error": problem.detail}, problem.status_code)

    return Starlette(
        routes=[
            Route("/", console),
            Route("/assets/{name}", asset),
            Route("/metrics", metrics),
            Route("/-/healthy", get_healthy),
            Route("/-/ready", get_ready),
            Route("/api/v1/status", status),
            Route("/api/v1/incidents", incidents),
            Route("/api/v1/incidents/{id}", incident),
            Route("/api/v1/actions", actions),
            Route("/api/v1/gpus", gpus),
            Route("/api/v1/commands/{verb}", command, methods=["POST"]),
        ],
        exception_handlers={HTTPException: refused},
    )


_ASSETS = {"console.js": "text/javascript", "console.css": "text/css"}
_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def _may_change(request: Request, settings: WebSettings) -> None:
    if request.scope.get("client") is None:  # only the Unix socket has no peer address
        return
    given = request.headers.get("authorization", "")
    token = settings.token.get_secret_value() if settings.token else ""
    if token and hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return
    cure = "send Authorization: Bearer <web.token>" if token else "use the watchtower command on this machine"
    raise HTTPException(403, f"changes over TCP need the token; {cure}")
