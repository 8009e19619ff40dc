"""The HTTP face: metrics, health, the JSON API and the console page.

Reads are open on loopback. Changes need the local Unix socket (its file mode is the permission) or the bearer token.
Handlers read the board and pass commands on; they decide nothing and never wait for the engine.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from watchtower.board import Board
from watchtower.ports import Clock
from watchtower.settings import WebSettings
from watchtower.web.board_api import BoardApi, Render, Timeline
from watchtower.web.commands_api import Command, CommandsApi
from watchtower.web.console import console_routes
from watchtower.web.permission import Permission
from watchtower.web.references_api import References, ReferencesApi


def application(
    *,
    board: Board,
    clock: Clock,
    settings: WebSettings,
    render_metrics: Render,
    timeline: Timeline,
    command: Command,
    healthy: Callable[[], str],
    references: References,
    local: bool,
) -> Starlette:
    """``healthy()`` answers "" or why the loop is not alive. ``local``: this is the Unix socket's face, on which
    changes need no token."""
    permission = Permission(settings, local=local)
    looks = BoardApi(board, clock, render=render_metrics, timeline=timeline, healthy=healthy)
    return Starlette(
        routes=[
            *console_routes(),
            *looks.routes(),
            *ReferencesApi(references, permission).routes(),
            *CommandsApi(command, permission).routes(),
        ],
        exception_handlers={HTTPException: _refused},
    )


async def _refused(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    return JSONResponse({"error": problem.detail}, problem.status_code)
