"""Posting: what one attempt does with its connection, whatever the receiver does with it afterwards."""

from __future__ import annotations

from tests.closing import closing_server
from watchtower.sinks.delivery import DELIVERED
from watchtower.sinks.posting import Poster
from watchtower.testing.clock import HandClock


async def test_a_receiver_that_closes_after_its_answer_gets_the_next_notice_too() -> None:
    async with closing_server(b"ok") as receiver:
        poster = Poster(HandClock(), 5.0, [receiver.url])
        try:
            attempts = [await poster.send(receiver.url, b"notice", judge=lambda reply: DELIVERED) for _ in range(3)]
        finally:
            await poster.close()
    assert [attempt.because for attempt in attempts if not attempt.delivered] == []
    assert receiver.connections == len(attempts)
