"""Answers whose events name their type: OpenAI's responses and Anthropic's messages.

Neither tells a count of tokens while it streams, so an event of a ``…delta`` type counts as one estimated token.
"""

from __future__ import annotations

from typing import Final

import msgspec

from watchtower.exchanges.answer_reading import AnswerPart, BodyReader, EventStreamReader
from watchtower.exchanges.dialect import EVENT_STREAM, JSON, Reader
from watchtower.exchanges.exchange import Exchange

_LAST_TYPES: Final = frozenset({"message_stop", "response.completed", "response.incomplete"})
_ERROR_TYPES: Final = frozenset({"error", "response.failed"})
_NO_TEXT: Final = "message_delta"
"""Called a delta, and carries only the message's end."""


class _TypedPart(AnswerPart, gc=False):
    type: str | None = None


_decode_part = msgspec.json.Decoder(_TypedPart).decode


def open_typed(exchange: Exchange, content_type: str) -> Reader | None:
    """A stream, a body, or nothing that we can read."""
    if content_type == EVENT_STREAM:
        return TypedStream(exchange)
    if content_type == JSON:
        return TypedBody(exchange)
    return None


class TypedStream(EventStreamReader[_TypedPart]):
    """A stream of events with a type each."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange, _decode_part)

    def _found(self, part: _TypedPart) -> None:
        kind = part.type
        if kind is None:
            return
        if kind.endswith("delta") and kind != _NO_TEXT:
            self.exchange.estimated = True
            self.exchange.fresh += 1
        elif kind in _LAST_TYPES:
            self.ended = True
        elif kind in _ERROR_TYPES:
            self.errored = True


class TypedBody(BodyReader[_TypedPart]):
    """A body: usage and model are all that is read of it."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange, _decode_part)

    def _found(self, part: _TypedPart) -> None:
        """Nothing beyond what every dialect says."""
