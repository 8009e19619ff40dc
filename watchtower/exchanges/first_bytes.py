"""What an answer is, told by its first bytes: the label that an engine or a proxy puts on it may be wrong or missing.

Events begin with the name of a field or a comment, JSON with a brace or a bracket; anything else is not read. Where
several engines answer on one route, the first object tells which of them does, by its keys. Until then the bytes are
held; from there on the reader that was found gets everything, and nothing stands in its way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec

from watchtower.exchanges.dialect import MAX_BODY_BYTES, Reader
from watchtower.exchanges.exchange import Exchange
from watchtower.exchanges.server_sent_events import EventSplitter
from watchtower.vocabulary.errors import UNREADABLE, ProtocolFault
from watchtower.vocabulary.facts import Ending

_BOM: Final = b"\xef\xbb\xbf"
_SPACE: Final = b" \t\r\n"
_MOST_SPACE: Final = 4096
"""Before the first byte that tells anything."""
_EVENT_FIELDS: Final = (b":", b"data:", b"event:", b"id:", b"retry:", b"error:", b"data\n", b"data\r")
PAGES: Final = frozenset({"text/html", "application/json"})
"""Content types of a 200 that is no answer when it is no JSON: a gateway's page, an error in words."""
_JSON_STARTS: Final = b'{["ntf-0123456789'
_MOST_STRANGERS: Final = 8
"""Payloads without a known key: after so many the answer is of no shape that is known here."""

_decode_keys = msgspec.json.Decoder(dict[str, msgspec.Raw] | list[dict[str, msgspec.Raw]]).decode

MakeReader = Callable[[Exchange], Reader]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One way of putting an answer into JSON, and who reads it."""

    keys: frozenset[str]
    """An object with one of these is of this shape."""
    events: MakeReader
    body: MakeReader
    lines: MakeReader | None = None
    """Of JSON, an object a line; it reads a single object as well."""


class Framing(Enum):
    EVENTS = "events"
    JSON = "json"
    OTHER = "other"


def framing_of(first: bytes | bytearray) -> Framing | None:
    """By the first bytes of a body; None: they are too few."""
    text = bytes(first).removeprefix(_BOM).lstrip(_SPACE)
    if not text or _BOM.startswith(text):
        return None if len(first) <= _MOST_SPACE else Framing.OTHER
    if text.startswith(_EVENT_FIELDS):
        return Framing.EVENTS
    if any(field.startswith(text) for field in _EVENT_FIELDS):
        return None
    return Framing.JSON if text[0] in _JSON_STARTS else Framing.OTHER


def open_as(
    *shapes: Shape, otherwise: Callable[[Exchange, str], Reader] | None = None
) -> Callable[[Exchange, str], Reader]:
    """``Dialect.open`` for answers in one of ``shapes``; the first is that of an answer that tells none (an error).
    ``otherwise``: reads what is no events, by its content type; None: such a thing is JSON, or a page that answers
    nothing, or not read."""

    def opened(exchange: Exchange, content_type: str) -> Reader:
        if otherwise is not None:
            return FirstBytes(exchange, shapes, lambda exchange: otherwise(exchange, content_type))
        return FirstBytes(exchange, shapes, is_page=content_type in PAGES)

    return opened


class PageInstead:
    """``exchanges.dialect.Reader`` of a page where an answer should be: nobody was served."""

    ended = False
    errored = False
    malformed = 1

    def __init__(self, exchange: Exchange) -> None:
        pass

    def feed(self, body: bytes) -> None:
        """It is not read."""

    def finish(self) -> None:
        """Its end changes nothing."""

    cut = finish

    def ending(self) -> Ending | None:
        return Ending.TRUNCATED


class FirstBytes:
    """``exchanges.dialect.Reader``; becomes another as soon as it knows which."""

    def __init__(
        self,
        exchange: Exchange,
        shapes: tuple[Shape, ...],
        otherwise: MakeReader | None = None,
        is_page: bool = False,
    ) -> None:
        """``is_page``: what is neither events nor JSON is nothing that this server would have said."""
        self._exchange = exchange
        self._is_page = is_page
        self._shapes = shapes
        self._otherwise = otherwise
        self._reader: Reader | None = None
        self._held = bytearray()
        self._framing: Framing | None = None
        self._shape: Shape | None = None
        self._events = EventSplitter(self._judge)
        self._first_line_seen = False
        self._strangers = 0
        self.feed: Callable[[bytes], None] = self._hold
        """Body bytes. Raises ProtocolFault for what is not read."""

    @property
    def ended(self) -> bool:
        return self._reader is not None and self._reader.ended

    @property
    def errored(self) -> bool:
        return self._reader is not None and self._reader.errored

    @property
    def malformed(self) -> int:
        return 0 if self._reader is None else self._reader.malformed

    def ending(self) -> Ending | None:
        return None if self._reader is None else self._reader.ending()

    def finish(self) -> None:
        """Raises ProtocolFault."""
        reader = self._at_last()
        if reader is not None:
            reader.finish()

    def cut(self) -> None:
        """Raises ProtocolFault."""
        reader = self._at_last()
        if reader is not None:
            reader.cut()

    def _hold(self, body: bytes) -> None:
        self._held += body
        if len(self._held) > MAX_BODY_BYTES:
            raise ProtocolFault("4 MiB of an answer do not tell what it is")
        if self._framing is None:
            self._framing = framing_of(self._held)
            if self._framing is None:
                return
            body = bytes(self._held)
        if self._framing is not Framing.EVENTS and self._otherwise is not None:
            self._read_with(self._otherwise)
        elif self._framing is Framing.OTHER and self._is_page:
            self._read_with(PageInstead)
        elif self._framing is Framing.OTHER:
            raise ProtocolFault("neither events nor JSON")
        elif len(self._shapes) == 1:
            self._choose(self._shapes[0])
        elif self._framing is Framing.EVENTS:
            self._events.feed(body)
        elif b"\n" in body and not self._first_line_seen:
            line, end, _ = bytes(self._held).lstrip(_SPACE).partition(b"\n")
            self._first_line_seen = bool(end)
            self._judge(line)
        if self._shape is not None:
            self._choose(self._shape)

    def _judge(self, payload: bytes) -> None:
        """Whose shape ``payload`` has, if it tells. Raises ProtocolFault once it is clear that nothing will."""
        if self._shape is not None:
            return
        try:
            found = _decode_keys(payload)
        except UNREADABLE:
            return
        keys = (found[0] if found else {}) if isinstance(found, list) else found
        self._shape = next((shape for shape in self._shapes if not shape.keys.isdisjoint(keys)), None)
        if self._shape is None:
            self._strangers += 1
            if "error" in keys:
                self._shape = self._shapes[0]
            elif self._strangers >= _MOST_STRANGERS:
                raise ProtocolFault("of no shape that is known here")

    def _choose(self, shape: Shape) -> None:
        if self._framing is Framing.EVENTS:
            self._read_with(shape.events)
        else:
            self._read_with(shape.lines or shape.body)

    def _read_with(self, make: MakeReader) -> None:
        reader = self._reader = make(self._exchange)
        held, self._held = bytes(self._held), bytearray()
        self._shape = None
        self.feed = reader.feed
        reader.feed(held)

    def _at_last(self) -> Reader | None:
        """There will be no more bytes: who reads those that came. Raises ProtocolFault."""
        if self._reader is None and self._otherwise is not None:
            self._read_with(self._otherwise)
        if self._reader is None and self._held.strip():
            if self._framing is Framing.JSON and self._otherwise is None:
                self._judge(bytes(self._held))
            else:
                self._events.finish()
            self._choose(self._shape or self._shapes[0])
        return self._reader
