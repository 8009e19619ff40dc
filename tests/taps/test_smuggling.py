"""No request reaches a control route of a real server unseen: uvicorn's own parsers behind the relay, thousands of
ambiguous requests in front of it.

What counts is what Starlette would route: a request whose path is a control route's, whatever its method.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Match, Route, Router
from starlette.types import Receive, Scope, Send

from tests.taps.ambiguous import CONTROL, connections
from tests.taps.conftest import Start
from watchtower.taps.client_connection import ClientConnection

REQUESTS = 6_000
"""Of each parser; together more than ten thousand."""
AT_ONCE = 16

each_parser = pytest.mark.parametrize("parser", ["httptools", "h11"])


class GuardedEngine:
    """A server with control routes, as engines build theirs."""

    def __init__(self) -> None:
        async def answer(request: Request) -> Response:
            await request.body()
            return PlainTextResponse("OK")

        self.controlled: list[str] = []
        """Requests to control routes that were dispatched."""
        self.dispatched = 0
        self._control = [Route(f"/{path}", answer, methods=["GET", "POST"]) for path in CONTROL]
        served = [Route(path, answer, methods=["GET", "POST"]) for path in ("/v1/completions", "/v1/models", "/health")]
        self._router = Router([*self._control, *served])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.dispatched += 1
        if any(route.matches(scope)[0] is not Match.NONE for route in self._control):
            self.controlled.append(f"{scope['method']} {scope['path']}")
        await self._router(scope, receive, send)


class Server:
    def __init__(self, engine: GuardedEngine, parser: str) -> None:
        for name in ("uvicorn.error", "asyncio"):  # it warns of each request, and stumbles over some
            logging.getLogger(name).disabled = True
        config = uvicorn.Config(engine, http=parser, ws="none", lifespan="off", log_config=None, access_log=False)
        self._server = uvicorn.Server(config)
        self.engine = engine
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]

    async def start(self) -> None:
        config = self._server.config
        config.load()
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup(sockets=[self._socket])

    async def stop(self) -> None:
        self._server.force_exit = True
        await self._server.shutdown()


@pytest_asyncio.fixture
async def server(parser: str) -> AsyncIterator[Server]:
    running = Server(GuardedEngine(), parser)
    await running.start()
    yield running
    await running.stop()


async def send(port: int, requests: list[list[bytes]]) -> int:
    """One client: segment after segment, each on its own, until it is thrown out. How many requests it began."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    begun = 0
    try:
        for begun, segments in enumerate(requests, 1):
            for segment in segments:
                if writer.transport.is_closing():
                    return begun
                writer.write(segment)
                for _ in range(5):  # time for two hops
                    await asyncio.sleep(0.001)
        async with asyncio.timeout(0.02):
            while await reader.read(65536):
                pass
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return begun


async def send_many(port: int, seed: int, most: int) -> None:
    clients, left = connections(seed), most

    async def clients_in_turn() -> None:
        nonlocal left
        while left > 0:
            begun = await send(port, next(clients))
            left -= begun

    await asyncio.gather(*(clients_in_turn() for _ in range(AT_ONCE)))


@each_parser
@pytest.mark.timeout(240)
async def test_no_ambiguous_request_reaches_a_control_route(start: Start, server: Server, parser: str) -> None:
    bench = await start(upstream=f"http://127.0.0.1:{server.port}")
    await send_many(bench.port, 20261129, REQUESTS)

    assert server.engine.controlled == []
    assert server.engine.dispatched > REQUESTS / 40, "many are answered"
    assert bench.caused()["guarded"] > REQUESTS / 50
    assert bench.caused()["guarded_opaque"] > REQUESTS / 50


@each_parser
async def test_such_requests_do_reach_it_without_the_guard(start: Start, server: Server, parser: str) -> None:
    bench = await start(upstream=f"http://127.0.0.1:{server.port}", guard=False)
    await send_many(bench.port, 1, 1000)

    assert server.engine.controlled


HIDDEN = b"POST /sleep?level=2 HTTP/1.1\r\nHost: e\r\n\r\n"
SWITCHING = {
    "an upgrade with a length": b"POST /v1/completions HTTP/1.1\r\nHost: e\r\nUpgrade: x\r\nConnection: upgrade\r\n"
    b"Content-Length: %d\r\n\r\n" % len(HIDDEN),
    "an upgrade in chunks": b"POST /v1/completions HTTP/1.1\r\nHost: e\r\nConnection: upgrade\r\nUpgrade: h2c\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n",
}


@pytest.mark.parametrize("parser", ["httptools"])
@pytest.mark.parametrize("head", SWITCHING.values(), ids=SWITCHING.keys())
async def test_the_body_of_an_upgrade_is_no_way_in(start: Start, server: Server, parser: str, head: bytes) -> None:
    bench = await start(upstream=f"http://127.0.0.1:{server.port}")
    body = HIDDEN if b"chunked" not in head else b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
    await send(bench.port, [[head, body]])

    assert server.engine.controlled == []
    assert bench.caused() == {"guarded_opaque": 1}


PROMPT = b'{"prompt": "What does POST /sleepy do? See http://e/resume.pdf"}'


@pytest.mark.parametrize(("parser", "body"), [("httptools", b""), ("h11", b""), ("h11", PROMPT)])
async def test_an_honest_offer_of_h2c_is_answered_and_stays_framed(
    start: Start, server: Server, parser: str, body: bytes
) -> None:
    bench = await start(upstream=f"http://127.0.0.1:{server.port}")
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    asked = b"POST /v1/completions HTTP/1.1\r\nHost: e\r\n" + offer + length + b"\r\n" + body
    reader, writer = await bench.client()
    for _ in range(2):
        writer.write(asked)
        assert (await bench.read(reader)).startswith(b"HTTP/1.1 200")

    (connection,) = bench.relay.connections
    assert isinstance(connection, ClientConnection)
    assert not connection._framer.opacity
    assert bench.caused() == {}
