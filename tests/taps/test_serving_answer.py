"""Others may ask the relay's own port how the engine is; the answer is the daemon's, and lapses without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.taps.conftest import Start, until
from watchtower.clock import boottime
from watchtower.taps.bypass import bypass_path, write_bypass
from watchtower.vocabulary.facts import Bypassed, HoldOrder, ServingOrder

ASK = b"GET /-/serving HTTP/1.1\r\nhost: a\r\n\r\n"


def word(*, known: bool = True, serving: bool = False, seconds: float = 60.0) -> ServingOrder:
    return ServingOrder(known=known, serving=serving, reason="it hangs", until=boottime() + seconds)


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({"serving": True}, 200),
        ({"serving": False}, 503),
        ({"known": False}, 200),
        ({"seconds": -1.0}, 200),
    ],
)
async def test_it_is_503_only_while_the_daemon_says_that_the_engine_does_not_serve(
    start: Start, order: dict[str, Any], status: int
) -> None:
    bench = await start()
    assert b" 200 " in await bench.ask(ASK), "nobody has said anything yet"
    bench.relay.serving.obey(word(**order))
    answer = await bench.ask(ASK)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.partition(b"\r\n\r\n")[2] == b"", "the status code alone"
    assert bench.engine.received == []
    assert not bench.caused(), "it is no error of ours"


async def test_a_hold_answers_200_because_a_gateway_would_drop_who_waits(start: Start) -> None:
    bench = await start()
    bench.relay.serving.obey(word())
    bench.relay.hold.obey(HoldOrder(op_id="op", seconds=60, wait_seconds=60, max_parked=9, max_bytes=9))
    assert b" 200 " in await bench.ask(ASK)
    bench.relay.hold.release()
    assert b" 503 " in await bench.ask(ASK)


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /-/serving/ HTTP/1.1",
        b"GET /-/serving?x=1 HTTP/1.1",
        b"GET //-/serving HTTP/1.1",
        b"GET /a/-/serving HTTP/1.1",
        b"GET /-/ready HTTP/1.1",
        b"POST /-/serving HTTP/1.1",
    ],
)
async def test_nothing_else_of_the_engines_is_shadowed(start: Start, request_line: bytes) -> None:
    bench = await start()
    bench.relay.serving.obey(word())
    assert b" 200 " in await bench.ask(request_line + b"\r\nhost: a\r\n\r\n")
    assert bytes(bench.engine.received[0]).startswith(request_line)


async def test_it_is_answered_while_the_relay_is_bypassed_and_while_it_is_full(start: Start, tmp_path: Path) -> None:
    bench = await start(max_connections=0)
    bench.relay.serving.obey(word())
    assert b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0" in await bench.ask(ASK)
    write_bypass(bypass_path(tmp_path), Bypassed(author="anna", reason="why", since_wall=1.0))
    await until(lambda: bench.relay.bypassed is not None)
    assert b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0" in await bench.ask(ASK)


async def test_between_two_requests_of_a_client_it_is_answered_too(start: Start) -> None:
    bench = await start()
    reader, writer = await bench.client()
    writer.write(b"GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n")
    await reader.readuntil(b"{}")
    writer.write(ASK)
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
