"""Two listeners, two faces: how a request came in is known from the socket it came in by, and from nothing it says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tests.web.house import PAUSE, House
from watchtower.settings import WebSettings
from watchtower.vocabulary.errors import BadInput
from watchtower.web.application import application
from watchtower.web.listeners import Server, bind_tcp, bind_unix, make_server


def face(house: House, *, local: bool) -> Starlette:
    return application(
        board=house.board,
        clock=house.clock,
        settings=WebSettings(),
        render_metrics=lambda accept: (b"", "text/plain"),
        timeline=house.timeline,
        command=house.command,
        healthy=lambda: "",
        references=house.references,
        local=local,
    )


@asynccontextmanager
async def serving(*pairs: tuple[Starlette, socket.socket]) -> AsyncIterator[None]:
    servers: list[Server] = [make_server(app) for app, _ in pairs]
    tasks = [asyncio.create_task(server.serve([sock])) for server, (_, sock) in zip(servers, pairs, strict=True)]
    try:
        async with asyncio.timeout(5):
            while not all(server.started for server in servers):  # noqa: ASYNC110  (uvicorn has no event for it)
                await asyncio.sleep(0.01)
        yield
    finally:
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks)


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


async def test_the_unix_socket_may_change_things_and_tcp_may_not(tmp_path: Path) -> None:
    house = House()
    tcp, unix = bind_tcp("127.0.0.1:0"), bind_unix(tmp_path / "w.sock")
    async with (
        serving((face(house, local=False), tcp), (face(house, local=True), unix)),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port_of(tcp)}") as over_tcp,
        httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(tmp_path / "w.sock")), base_url="http://watchtower"
        ) as over_unix,
    ):
        assert (await over_tcp.get("/api/v1/status")).status_code == 200
        assert (await over_tcp.post("/api/v1/commands/pause", json=PAUSE)).status_code == 403
        assert house.commands == []
        assert (await over_unix.post("/api/v1/commands/pause", json=PAUSE)).status_code == 200
        assert len(house.commands) == 1


async def test_a_client_that_reset_its_connection_is_still_a_tcp_client() -> None:
    """Its socket has no peer address any more, exactly like a Unix socket; the request is served all the same."""
    house = House()
    tcp = bind_tcp("127.0.0.1:0")
    body = json.dumps(PAUSE).encode()
    head = f"POST /api/v1/commands/pause HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", port_of(tcp))) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(head + body)
    came_without_peer = []
    guarded = face(house, local=False)

    async def noting(scope, receive, send):  # type: ignore[no-untyped-def]  # an ASGI application
        came_without_peer.append(scope["client"] is None)
        await guarded(scope, receive, send)

    async with serving((noting, tcp)):  # type: ignore[arg-type]  # any ASGI application serves
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                while len(came_without_peer) < 10:  # noqa: ASYNC110  (it waits for a plain value)
                    await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
    assert any(came_without_peer), "the test must have met the case it is about"
    assert house.commands == []


async def test_what_a_request_says_of_its_origin_is_not_believed(tmp_path: Path) -> None:
    async def origin(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{request.client.host if request.client else None} {request.url.scheme}")

    tcp = bind_tcp("127.0.0.1:0")
    async with (
        serving((Starlette(routes=[Route("/", origin)]), tcp)),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port_of(tcp)}") as client,
    ):
        reply = await client.get("/", headers={"x-forwarded-for": "10.9.8.7", "x-forwarded-proto": "https"})
    assert reply.text == "127.0.0.1 http"
    assert "server" not in reply.headers


def test_the_control_socket_is_for_its_owner_alone(tmp_path: Path) -> None:
    with bind_unix(tmp_path / "w.sock"):
        assert (tmp_path / "w.sock").stat().st_mode & 0o777 == 0o600


def test_a_dead_daemons_socket_is_replaced(tmp_path: Path) -> None:
    bind_unix(tmp_path / "w.sock").close()
    bind_unix(tmp_path / "w.sock").close()


def test_a_path_too_long_for_a_socket_names_place_and_cure(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        bind_unix(tmp_path / ("d" * 120) / "w.sock")
    assert caught.value.problems[0].path == "state_directory"
    assert "shorter" in caught.value.problems[0].cure


@pytest.mark.parametrize(
    "listen", ["", "9470", ":9470", "127.0.0.1:", "127.0.0.1:web", "127.0.0.1:70000", "no.such.host.invalid:1"]
)
def test_an_address_that_cannot_be_listened_on_names_place_and_cure(listen: str) -> None:
    with pytest.raises(BadInput) as caught:
        bind_tcp(listen)
    problem = caught.value.problems[0]
    assert (problem.path, bool(problem.cure)) == ("web.listen", True)
    assert repr(listen) in problem.what


def test_a_taken_port_says_so() -> None:
    with bind_tcp("127.0.0.1:0") as first, pytest.raises(BadInput, match="already in use"):
        bind_tcp(f"127.0.0.1:{port_of(first)}")


def test_an_ipv6_address_is_written_in_brackets() -> None:
    try:
        sock = bind_tcp("[::1]:0")
    except BadInput as problem:
        pytest.skip(f"no IPv6 here: {problem}")
    with sock:
        assert sock.family is socket.AF_INET6
