"""The console page and its assets, from the package, under headers that let nothing foreign in."""

from __future__ import annotations

from importlib.resources import files

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

ASSETS = {"console.js": "text/javascript", "console.css": "text/css"}
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


def console_routes() -> list[Route]:
    return [Route("/", _page), Route("/assets/{name}", _asset)]


async def _page(request: Request) -> Response:
    page = files("watchtower.web").joinpath("console.html").read_text(encoding="utf-8")
    return HTMLResponse(page, headers=HEADERS)


async def _asset(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in ASSETS:
        raise HTTPException(404, f"no asset {name!r}")
    text = files("watchtower.web").joinpath(name).read_text(encoding="utf-8")
    return Response(text, media_type=ASSETS[name], headers=HEADERS)
