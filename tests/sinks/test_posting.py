"""Posting: what one attempt does with its connection, whatever the receiver does with it afterwards."""

from __future__ import annotations

import asyncio

from tests.sinks.receiver import OK
from watchtower.sinks.delivery import DELIVERED
from watchtower.sinks.posting import Poster
from watchtower.testing.clock import HandClock


async def test_a_receiver_that_closes_after_its_answer_gets_the_next_notice_too() -> None:
    """It closes just when the next request arrives, which is the worst moment for a connection that was kept."""
    connections = 0

    async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\nnotice")
        writer.write(OK)
        await reader.read(1)  # the next request, or the end of a connection that nobody keeps
        writer.close()

    server = await asyncio.start_server(answer_once, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    poster = Poster(HandClock(), 5.0, [url])
    try:
        attempts = [await poster.send(url, b"notice", judge=lambda reply: DELIVERED) for _ in range(3)]
    finally:
        await poster.close()
        server.close()
    assert [attempt.because for attempt in attempts if not attempt.delivered] == []
    assert connections == len(attempts)
