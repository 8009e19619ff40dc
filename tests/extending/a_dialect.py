"""A dialect as somebody would add it: this one file, and one line in ``exchanges/dialects/__init__.py``.

An invented engine answers ``/cohere/v2/chat`` with one JSON object a line, each of them a token, until one says
``done``.
"""

from __future__ import annotations

from typing import Final

import msgspec

from watchtower.exchanges.dialect import Dialect, Reader
from watchtower.exchanges.exchange import Exchange
from watchtower.vocabulary.errors import UNREADABLE, ProtocolFault
from watchtower.vocabulary.facts import Ending


class _Line(msgspec.Struct, gc=False):
    text: str = ""
    done: bool = False
    error: str = ""


_decode_line = msgspec.json.Decoder(_Line).decode


class LineReader:
    """``exchanges.dialect.Reader``."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.ended = False
        self.errored = False
        self.malformed = 0
        self._rest = b""
        exchange.describe(stream=True)

    def feed(self, body: bytes) -> None:
        *lines, self._rest = (self._rest + body).split(b"\n")
        for line in lines:
            self._line(line)

    def finish(self) -> None:
        if self._rest:
            self._line(self._rest)

    def cut(self) -> None:
        """A line that was cut is none."""

    def ending(self) -> Ending | None:
        if self.errored:
            return Ending.ERROR
        if not self.ended:
            return None
        return Ending.COMPLETE if self.exchange.has_tokens else Ending.EMPTY

    def _line(self, line: bytes) -> None:
        try:
            found = _decode_line(line)
        except UNREADABLE as exc:
            raise ProtocolFault("not a stream of lines") from exc
        self.ended = self.ended or found.done
        self.errored = self.errored or bool(found.error)
        if found.text:
            self.exchange.estimated = True
            self.exchange.fresh += 1


def _open(exchange: Exchange, content_type: str) -> Reader | None:
    return LineReader(exchange) if content_type == "application/x-ndjson" else None


def _describe(exchange: Exchange, body: bytes) -> None:
    exchange.describe(model="invented")


LINES: Final = Dialect(name="lines", routes=("/cohere/v2/chat",), describe=_describe, open=_open)
