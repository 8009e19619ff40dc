"""What a person may order, with a name and a reason: both stand in every later explanation."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from watchtower.vocabulary.errors import Deadline
from watchtower.web.permission import Permission

COMMANDS = ("pause", "resume", "ack_resume", "ack_resolve", "breaker_reset", "bless", "unbless", "bypass", "bypass_off")
"""In the words of the API; ``-`` and ``_`` are the same."""
ENDINGS = ("resume", "bypass_off")
"""They end what has a reason, and need none of their own."""

LONGEST_TEXT = 500
"""Characters of an author or a reason."""

Command = Callable[[str, str, str, float], Awaitable[str]]
"""(verb, author, reason, seconds) → "" once it is obeyed and durable, or why it is not. Raises Deadline."""


class CommandsApi:
    def __init__(self, command: Command, permission: Permission) -> None:
        self._command = command
        self._permission = permission

    def routes(self) -> list[Route]:
        return [Route("/api/v1/commands/{verb}", self.order, methods=["POST"])]

    async def order(self, request: Request) -> Response:
        self._permission.need(request)
        verb = request.path_params["verb"].replace("-", "_")
        if verb not in COMMANDS:
            raise HTTPException(404, f"no command {verb!r}; there are: {', '.join(COMMANDS)}")
        author, reason, seconds = await _body(request)
        if not author or (verb not in ENDINGS and not reason):
            raise HTTPException(400, "author and reason are required, so that the next on-call engineer knows")
        if verb == "pause" and seconds <= 0:
            raise HTTPException(400, "a pause needs an end: seconds above 0")
        try:
            because = await self._command(verb, author, reason, seconds)
        except Deadline as late:
            raise HTTPException(503, str(late)) from late
        if because:
            raise HTTPException(409, because)
        return JSONResponse({"done": verb})


async def _body(request: Request) -> tuple[str, str, float]:
    """(author, reason, seconds) of a command's body."""
    try:
        body = await request.json() if await request.body() else {}
        author, reason = str(body.get("author") or ""), str(body.get("reason") or "")
        seconds = float(body.get("seconds") or 0)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as problem:
        raise HTTPException(400, "the body must be a JSON object {author, reason, seconds}") from problem
    if not math.isfinite(seconds):
        raise HTTPException(400, "seconds must be a number")
    if max(len(author), len(reason)) > LONGEST_TEXT:
        raise HTTPException(400, f"author and reason may have {LONGEST_TEXT} characters each")
    return author.strip(), reason.strip(), seconds
