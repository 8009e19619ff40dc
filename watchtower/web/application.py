"""The HTTP face: metrics, health, the JSON API and the console page.

Reads are open on loopback. Changes need the local Unix socket (its file mode is the permission) or the bearer token.
Which of the two faces a request came in by is fixed when the application is made, one for each listener: a server
cannot tell reliably, because a TCP client that has reset its connection has no peer address either.
Handlers read the board and pass commands on; they decide nothing and never wait for the engine.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from watchtower.board import Board
from watchtower.ports import Clock
from watchtower.settings import WebSettings
from watchtower.vocabulary.errors import BadInput, Deadline, Refused, StorageFault
from watchtower.vocabulary.references import FEWEST_REPEATS, MOST_PROMPTS, MOST_REPEATS

COMMANDS = ("pause", "resume", "ack_resume", "ack_resolve", "breaker_reset", "bless", "unbless")

LARGEST_DOCUMENT = 64 * 1024 * 1024
"""Bytes of an imported set of references."""
LONGEST_TEXT = 500
"""Characters of an author or a reason; both stand in every later explanation."""

Command = Callable[[str, str, str, float], Awaitable[str]]
"""(verb, author, reason, seconds) → "" once it is obeyed and durable, or why it is not. Raises Deadline."""
Timeline = Callable[[str], Awaitable[list[dict[str, Any]]]]
"""The journal's records of one incident, oldest first. Raises StorageFault."""


class References(Protocol):
    """What ``/api/v1/references`` offers. Each raises Refused with the reason, or StorageFault."""

    def list(self) -> dict[str, Any]: ...

    def show(self, id: str) -> dict[str, Any]: ...

    def export(self, id: str) -> bytes: ...

    def capture(self, repeats: int = 0, *, meant: bool = False) -> dict[str, Any]: ...

    def pick(self, count: int) -> dict[str, Any]: ...

    def retire(self, id: str) -> dict[str, Any]: ...

    def take_in(self, document: bytes, name: str) -> dict[str, Any]:
        """Also raises BadInput."""
        ...


Render = Callable[[str], tuple[bytes, str]]
"""Metrics text and content type for an Accept header."""


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

    async def latency(request: Request) -> Response:
        return JSONResponse({"seconds": [{"wall": wall, "p95": value} for wall, value in board.latency]})

    async def incidents(request: Request) -> Response:
        return JSONResponse({"incidents": board.incidents})

    async def incident(request: Request) -> Response:
        wanted = request.path_params["id"]
        found = next((entry for entry in board.incidents if entry["id"] == wanted), None)
        if found is None:
            known = ", ".join(str(entry["id"]) for entry in board.incidents[:5]) or "none yet"
            raise HTTPException(404, f"no incident {wanted!r}; the newest are: {known}")
        actions = [action for action in board.actions if action["incident"] == wanted]
        try:
            records, because = await timeline(wanted), ""
        except StorageFault as fault:
            records, because = [], str(fault)
        return JSONResponse({"incident": found, "actions": actions, "records": records, "records_because": because})

    async def actions(request: Request) -> Response:
        return JSONResponse({"actions": board.actions})

    async def gpus(request: Request) -> Response:
        return JSONResponse(board.gpus or {"source": None, "because": "not looked yet", "gpus": [], "placement": []})

    async def drift(request: Request) -> Response:
        return JSONResponse(board.output_shift)

    async def checkpoints(request: Request) -> Response:
        return JSONResponse(board.checkpoints)

    async def post_command(request: Request) -> Response:
        if not local:
            _need_token(request, settings)
        verb = request.path_params["verb"].replace("-", "_")
        if verb not in COMMANDS:
            raise HTTPException(404, f"no command {verb!r}; there are: {', '.join(COMMANDS)}")
        author, reason, seconds = await _command_body(request)
        if not author or (verb != "resume" and not reason):
            raise HTTPException(400, "author and reason are required, so that the next on-call engineer knows")
        if verb == "pause" and seconds <= 0:
            raise HTTPException(400, "a pause needs an end: seconds above 0")
        try:
            because = await command(verb, author, reason, seconds)
        except Deadline as late:
            raise HTTPException(503, str(late)) from late
        if because:
            raise HTTPException(409, because)
        return JSONResponse({"done": verb})

    async def list_references(request: Request) -> Response:
        return _answer(references.list)

    async def show_references(request: Request) -> Response:
        return _answer(lambda: references.show(request.query_params.get("id", "")))

    async def export_references(request: Request) -> Response:
        if not local:
            _need_token(request, settings)
        return _answer(lambda: references.export(request.query_params.get("id", "")))

    async def pick_references(request: Request) -> Response:
        if not local:
            _need_token(request, settings)  # what it answers is text of users
        count = request.query_params.get("count", "")
        if not count.isdigit() or not 1 <= int(count) <= MOST_PROMPTS:
            raise HTTPException(400, f"count is a number from 1 to {MOST_PROMPTS}")
        return _answer(lambda: references.pick(int(count)))

    async def change_references(request: Request) -> Response:
        if not local:
            _need_token(request, settings)
        what, id = request.path_params["what"], request.query_params.get("id", "")
        if what == "import":
            document = await _document(request)
            return _answer(lambda: references.take_in(document, "the file"))
        if what == "retire":
            return _answer(lambda: references.retire(id))
        if what == "capture":
            repeats = _repeats(request.query_params.get("repeats", ""))
            meant = request.query_params.get("meant", "") == "true"
            return _answer(lambda: references.capture(repeats, meant=meant))
        raise HTTPException(404, f"references cannot {what!r}; they can: capture, retire, import")

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
            Route("/api/v1/latency", latency),
            Route("/api/v1/incidents", incidents),
            Route("/api/v1/incidents/{id}", incident),
            Route("/api/v1/actions", actions),
            Route("/api/v1/gpus", gpus),
            Route("/api/v1/checkpoints", checkpoints),
            Route("/api/v1/drift", drift),
            Route("/api/v1/references", list_references),
            Route("/api/v1/references/show", show_references),
            Route("/api/v1/references/export", export_references),
            Route("/api/v1/references/pick", pick_references),
            Route("/api/v1/references/{what}", change_references, methods=["POST"]),
            Route("/api/v1/commands/{verb}", post_command, methods=["POST"]),
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


def _need_token(request: Request, settings: WebSettings) -> None:
    given = request.headers.get("authorization", "")
    token = settings.token.get_secret_value() if settings.token else ""
    if token and hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return
    cure = "send Authorization: Bearer <web.token>" if token else "use the watchtower command on this machine"
    raise HTTPException(403, f"changes over TCP need the token; {cure}")


def _answer(what: Callable[[], dict[str, Any] | bytes]) -> Response:
    """What the references' service says, or its refusal."""
    try:
        said = what()
    except BadInput as problem:
        raise HTTPException(400, str(problem)) from problem
    except Refused as problem:
        raise HTTPException(409, str(problem)) from problem
    except StorageFault as problem:
        raise HTTPException(503, str(problem)) from problem
    return Response(said, media_type="application/json") if isinstance(said, bytes) else JSONResponse(said)


async def _document(request: Request) -> bytes:
    """The body, up to ``LARGEST_DOCUMENT``."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_DOCUMENT:
            raise HTTPException(413, f"more than {LARGEST_DOCUMENT >> 20} MiB is no set of references")
    return body


def _repeats(text: str) -> int:
    """0: as configured."""
    if not text:
        return 0
    if not text.isdigit() or not FEWEST_REPEATS <= int(text) <= MOST_REPEATS:
        raise HTTPException(400, f"repeats is a number from {FEWEST_REPEATS} to {MOST_REPEATS}")
    return int(text)


async def _command_body(request: Request) -> tuple[str, str, float]:
    """(author, reason, seconds) of a command's body."""
    try:
        body = await request.json() if await request.body() else {}
        author, reason = str(body.get("author") or ""), str(body.get("reason") or "")
        seconds = float(body.get("seconds") or 0)
    except (ValueError, TypeError, AttributeError, RecursionError) as problem:
        raise HTTPException(400, "the body must be a JSON object {author, reason, seconds}") from problem
    if not math.isfinite(seconds):
        raise HTTPException(400, "seconds must be a number")
    if max(len(author), len(reason)) > LONGEST_TEXT:
        raise HTTPException(400, f"author and reason may have {LONGEST_TEXT} characters each")
    return author.strip(), reason.strip(), seconds
