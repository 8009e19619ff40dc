"""The relay tells when it last reached the engine and when it last failed to."""

from __future__ import annotations

import asyncio

import pytest

from tests.taps.conftest import Start, answer_everything
from watchtower.taps.contact_log import ContactLog
from watchtower.vocabulary.contacts import ContactBy, ContactKind

ASK = b"GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n"


async def close_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def bad_gateway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.parametrize(
    ("script", "engine_up", "kind"),
    [
        (answer_everything, True, ContactKind.HTTP),
        (bad_gateway, True, ContactKind.HTTP),
        (close_at_once, True, ContactKind.OK),
        (answer_everything, False, ContactKind.REFUSED),
    ],
)
async def test_what_came_of_the_newest_attempt_is_told(
    start: Start, script: object, engine_up: bool, kind: ContactKind
) -> None:
    bench = await start(script, engine_up=engine_up)
    assert bench.relay.contacts.newest() == []
    await bench.ask(ASK)
    (contact,) = bench.relay.contacts.newest()
    assert (contact.by, contact.kind) == (ContactBy.RELAY, kind)
    assert contact.at > 0


async def test_an_address_that_swallows_connections_is_a_timeout(start: Start) -> None:
    bench = await start(upstream="http://192.0.2.1:9", connect_seconds=0.1)
    assert b" 502 " in await bench.ask(ASK)
    assert bench.relay.contacts.newest()[0].kind in (ContactKind.TIMEOUT, ContactKind.REFUSED)


def test_of_each_kind_the_newest_counts() -> None:
    contacts = ContactLog()
    for second in (1, 2):
        contacts.answered(second * 10**9)
    contacts.note(ContactKind.REFUSED, 3 * 10**9)
    assert {contact.kind: contact.at for contact in contacts.newest()} == {
        ContactKind.HTTP: 2.0,
        ContactKind.REFUSED: 3.0,
    }
