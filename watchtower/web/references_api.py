"""What ``watchtower references`` asks over HTTP: looking is open, changing and text of users need permission."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from watchtower.vocabulary.errors import BadInput, Refused, StorageFault
from watchtower.vocabulary.references import FEWEST_REPEATS, MOST_PROMPTS, MOST_REPEATS
from watchtower.web.permission import Permission

LARGEST_DOCUMENT = 64 * 1024 * 1024
"""Bytes of an imported set of references."""


class References(Protocol):
    """What ``/api/v1/references`` offers. Each raises Refused with the reason, or StorageFault."""

    def list(self) -> dict[str, Any]: ...

    def show(self, id: str) -> dict[str, Any]: ...

    def export(self, id: str) -> bytes: ...

    def capture(self, repeats: int = 0, *, meant: bool = False) -> dict[str, Any]: ...

    def pick(self, count: int) -> dict[str, Any]: ...

    def retire(self, id: str) -> dict[str, Any]: ...

    def import_set(self, document: bytes, name: str) -> dict[str, Any]:
        """Also raises BadInput."""
        ...


class ReferencesApi:
    def __init__(self, references: References, permission: Permission) -> None:
        self._references = references
        self._permission = permission

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/references", self.list),
            Route("/api/v1/references/show", self.show),
            Route("/api/v1/references/export", self.export),
            Route("/api/v1/references/pick", self.pick),
            Route("/api/v1/references/{what}", self.change, methods=["POST"]),
        ]

    async def list(self, request: Request) -> Response:
        return _answer(self._references.list)

    async def show(self, request: Request) -> Response:
        return _answer(lambda: self._references.show(_id(request)))

    async def export(self, request: Request) -> Response:
        self._permission.need(request)
        return _answer(lambda: self._references.export(_id(request)))

    async def pick(self, request: Request) -> Response:
        self._permission.need(request)  # what it answers is text of users
        count = _number(request, "count", 1, MOST_PROMPTS)
        return _answer(lambda: self._references.pick(count))

    async def change(self, request: Request) -> Response:
        self._permission.need(request)
        match what := request.path_params["what"]:
            case "import":
                document = await _document(request)
                return _answer(lambda: self._references.import_set(document, "the file"))
            case "retire":
                return _answer(lambda: self._references.retire(_id(request)))
            case "capture":
                given = bool(request.query_params.get("repeats"))
                repeats = _number(request, "repeats", FEWEST_REPEATS, MOST_REPEATS) if given else 0  # 0: as configured
                meant = request.query_params.get("meant", "") == "true"
                return _answer(lambda: self._references.capture(repeats, meant=meant))
        raise HTTPException(404, f"references cannot {what!r}; they can: capture, retire, import")


def _id(request: Request) -> str:
    """ "" is the set in force."""
    return str(request.query_params.get("id", ""))


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


def _number(request: Request, name: str, least: int, most: int) -> int:
    """Raises HTTPException 400 for anything else. Short and ASCII: there are digits that ``int`` refuses."""
    text = request.query_params.get(name, "")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(most)) else -1
    if not least <= number <= most:
        raise HTTPException(400, f"{name} is a number from {least} to {most}")
    return number
