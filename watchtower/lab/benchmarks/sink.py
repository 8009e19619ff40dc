"""The other end of the relay's facts: reads every frame, as the daemon would, and counts the tokens told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import msgspec

from watchtower.taps.framing import Deframer
from watchtower.vocabulary.facts import RelayFrame, RelayMessage

_READ_BYTES = 256 * 1024


class FactSink:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.tokens = 0

    @classmethod
    @asynccontextmanager
    async def listening(cls, path: Path) -> AsyncIterator[Self]:
        sink = cls(path)
        server = await asyncio.start_unix_server(sink._read, path=path)
        try:
            yield sink
        finally:
            server.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        deframer: Deframer[RelayMessage] = Deframer(msgspec.msgpack.Decoder(RelayMessage))
        while data := await reader.read(_READ_BYTES):
            for message in deframer.feed(data):
                if isinstance(message, RelayFrame):
                    self.tokens += sum(news.first_tokens + sum(news.tokens) + news.more_tokens for news in message.news)
        writer.close()
