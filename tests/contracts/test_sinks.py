"""Every sink of the catalogue is held to the contract, each over a real receiver that answers in its own way."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.sinks.mailserver import mail_server
from tests.sinks.receiver import receiving
from tests.sinks.samples import sink_settings
from tests.sinks.test_receivers import HTTP_SINKS, YES, settings
from watchtower.catalogue import kinds, load
from watchtower.ports import Sink
from watchtower.testing.clock import HandClock
from watchtower.testing.sink_contract import SECRET, SinkContract

MAIL = {"host": "127.0.0.1", "tls": "none", "sender": "watchtower@example.org", "recipients": ("ann@example.org",)}


def made(kind: str, written: Any) -> Sink:
    sink: Sink = load("sinks", kind)(written, HandClock())
    return sink


def nobody_listens() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.mark.parametrize("kind", kinds("sinks"))
class TestSinks(SinkContract):
    @pytest.fixture
    async def taking(self, kind: str) -> AsyncIterator[Sink]:
        match kind:
            case "log":
                yield made(kind, sink_settings(kind))
            case "smtp":
                async with mail_server() as server:
                    yield made(kind, sink_settings(kind, port=server.port, **MAIL))
            case _:
                async with receiving(YES[kind]) as receiver:
                    sink = made(kind, settings(kind, f"http://127.0.0.1:{receiver.port}"))
                    yield sink
                    await sink.close()

    @pytest.fixture
    async def unreachable(self, kind: str) -> AsyncIterator[Sink | None]:
        port = nobody_listens()
        match kind:
            case "log":
                yield None
            case "smtp":
                yield made(kind, sink_settings(kind, port=port, username="ann", password=SECRET, **MAIL))
            case _:
                sink = made(kind, settings(kind, f"http://127.0.0.1:{port}"))
                yield sink
                await sink.close()


def test_every_sink_of_the_catalogue_is_judged_here() -> None:
    assert set(kinds("sinks")) == {"log", "smtp", *HTTP_SINKS}
