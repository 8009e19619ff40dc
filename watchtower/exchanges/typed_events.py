"""Answers whose events name their type: OpenAI's responses and Anthropic's messages.

Neither tells a count of tokens while it streams, so an event of a ``…delta`` type counts as one estimated token. Model,
totals and why it ended stand inside a few events, one level deeper; only those are decoded a second time.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from watchtower.exchanges.answer_reading import (
    ONE_TOKEN_CHARACTERS,
    AnswerPart,
    BodyReader,
    EventStreamReader,
)
from watchtower.exchanges.errors_inside import flat_error
from watchtower.exchanges.exchange import Exchange
from watchtower.exchanges.first_bytes import Shape, open_as
from watchtower.vocabulary.errors import UNREADABLE

_BLOCK_STARTS: Final = "content_block_start"
_BLOCK_DELTA: Final = "content_block_delta"
_MESSAGE_DELTA: Final = "message_delta"
"""Called a delta, and carries only the message's end."""
_LAST_TYPES: Final = frozenset(
    {"message_stop", "response.completed", "response.incomplete", "response.cancelled"}
    | {"transcript.text.done", "speech.audio.done"}
)
_FAILED_TYPES: Final = frozenset({"error", "response.failed"})
_STARTS: Final = "message_start"
_TELLING_TYPES: Final = frozenset({_STARTS, "response.created", "response.in_progress"})
_PLAIN_TYPES: Final = frozenset(
    {"response.output_text.delta", "response.reasoning_text.delta", "response.reasoning_summary_text.delta"}
)
_PLAIN_BLOCKS: Final = frozenset({None, "text", "thinking"})
_NO_TEXT_BLOCKS: Final = frozenset({"signature_delta", "citations_delta"})


class _TypedPart(AnswerPart, gc=False):
    type: str | None = None


class _Said(AnswerPart, gc=False):
    """An object inside an event: what is known of the answer as a whole."""

    status: str | None = None
    incomplete_details: Any = None
    stop_reason: str | None = None


class _Details(msgspec.Struct, gc=False):
    """An event that tells more than its type."""

    message: _Said | None = None
    response: _Said | None = None
    delta: _Said | None = None


class _BlockDelta(msgspec.Struct, gc=False):
    type: str | None = None
    partial_json: str = ""


class _Piece(msgspec.Struct, gc=False):
    delta: _BlockDelta | None = None
    content_block: _BlockDelta | None = None


class _ArgumentsPiece(msgspec.Struct, gc=False):
    delta: str = ""


class _TypedBodyPart(AnswerPart, gc=False):
    type: str | None = None
    status: str | None = None
    incomplete_details: Any = None
    stop_reason: str | None = None
    content: Any = None
    output: Any = None


_decode_part = msgspec.json.Decoder(_TypedPart).decode
_decode_details = msgspec.json.Decoder(_Details).decode
_decode_piece = msgspec.json.Decoder(_Piece).decode
_decode_arguments = msgspec.json.Decoder(_ArgumentsPiece).decode
_decode_body = msgspec.json.Decoder(_TypedBodyPart).decode


class TypedStream(EventStreamReader[_TypedPart]):
    """A stream of events with a type each."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange, _decode_part)
        self._plain_block = True  # of Anthropic's content blocks, the present one is text

    def _found(self, part: _TypedPart, payload: bytes | bytearray) -> None:
        kind = part.type
        if kind is None:
            self._without_type(part, payload)
            return
        self._readable = True
        if kind in _PLAIN_TYPES or (kind == _BLOCK_DELTA and self._plain_block):
            self.exchange.estimated = True
            self.exchange.fresh += 1
        elif kind.endswith("delta") and kind != _MESSAGE_DELTA:
            self._delta(kind, payload)
        elif kind == _BLOCK_STARTS:
            self._block_starts(payload)
        elif kind in _FAILED_TYPES:
            self._failed(part, payload)
        elif kind == _MESSAGE_DELTA or kind in _LAST_TYPES or kind in _TELLING_TYPES:
            self._details(kind, payload)

    def _without_type(self, part: _TypedPart, payload: bytes | bytearray) -> None:
        if not part.error:
            error = flat_error(payload)
            self._stranger() if error is None else self._error(error)

    def _delta(self, kind: str, payload: bytes | bytearray) -> None:
        exchange = self.exchange
        """A piece that may be no text."""
        if kind == _BLOCK_DELTA:
            if not self._is_token(payload):
                return
        elif (".function_call_arguments." in kind or "_input." in kind) and _is_long(payload):
            exchange.uneven.unsized()
        exchange.estimated = True
        exchange.fresh += 1

    def _block_starts(self, payload: bytes | bytearray) -> None:
        try:
            block = _decode_piece(payload).content_block
        except UNREADABLE:
            return
        self._plain_block = block is None or block.type in _PLAIN_BLOCKS

    def _is_token(self, payload: bytes | bytearray) -> bool:
        """Whether a piece of a block that is no plain text carries one."""
        try:
            delta = _decode_piece(payload).delta
        except UNREADABLE:
            return True
        if delta is not None and len(delta.partial_json) > ONE_TOKEN_CHARACTERS:
            self.exchange.uneven.unsized()
        return delta is None or delta.type not in _NO_TEXT_BLOCKS

    def _failed(self, part: _TypedPart, payload: bytes | bytearray) -> None:
        if part.error:
            return  # noted with the event
        said = _said(payload)
        self._error(said.error if said is not None and said.error else flat_error(payload))

    def _details(self, kind: str, payload: bytes | bytearray) -> None:
        said = _said(payload)
        if said is not None:
            if said.model and not self._named:
                self._named = True
                self._describe(said.model)
            if kind == _STARTS and said.usage is not None:
                said.usage.output_tokens = None  # what it starts with is no total
            self._note(said)
            reason = said.stop_reason or _reason(said.status, said.incomplete_details)
            if reason and kind not in _TELLING_TYPES:
                self._finish_reason(reason)
        if kind in _LAST_TYPES:
            self.ended = True


def _said(payload: bytes | bytearray) -> _Said | None:
    try:
        details = _decode_details(payload)
    except UNREADABLE:
        return None
    return details.message or details.response or details.delta


def _reason(status: str | None, incomplete_details: object) -> str | None:
    """Why a response ended; None while it goes on."""
    if status == "incomplete" and isinstance(incomplete_details, dict):
        reason = incomplete_details.get("reason")
        return reason if isinstance(reason, str) else status
    return status if status in ("completed", "incomplete") else None


def _is_long(payload: bytes | bytearray) -> bool:
    try:
        return len(_decode_arguments(payload).delta) > ONE_TOKEN_CHARACTERS
    except UNREADABLE:
        return False


class TypedBody(BodyReader[_TypedBodyPart]):
    """A body: model, totals and ending are read of it, and whether it says anything."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange, _decode_body)

    def _found(self, part: _TypedBodyPart, payload: bytes | bytearray) -> None:
        answer = part.output if part.output is not None else part.content
        if answer is None:
            error = None if part.error else flat_error(payload)
            if error is not None:
                self._error(error)
            return
        self.ended = True
        self._said = part.status in ("queued", "in_progress") or _says(answer)
        reason = part.stop_reason or _reason(part.status, part.incomplete_details)
        if reason:
            self._finish_reason(reason)
        elif part.status == "failed":
            self._error(part.error)


def _says(answer: object) -> bool:
    """There is text in it, or something that is no text."""
    if isinstance(answer, str):
        return bool(answer)
    if not isinstance(answer, list):
        return False
    for block in answer:
        if not isinstance(block, dict):
            continue
        if "content" in block and block.get("type") in ("message", None):
            if _says(block["content"]):
                return True
        elif block.get("type") in ("text", "output_text"):
            if block.get("text"):
                return True
        elif block.get("type") != "reasoning":
            return True
    return False


TYPED_SHAPE: Final = Shape(keys=frozenset({"type"}), events=TypedStream, body=TypedBody)
open_typed: Final = open_as(TYPED_SHAPE)
