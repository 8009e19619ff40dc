"""What readers of all dialects share: events or a body come in, usage, model and errors are written down.

Decoding is typed (msgspec skips every field that is not named). No text is kept but of exchanges that are sampled, and
no mutilated event raises: what cannot be read is counted in ``malformed``, unless nothing before it could be read
either. A dialect adds what its answers carry: ``_found`` gets each of them decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from watchtower.exchanges.dialect import MAX_BODY_BYTES
from watchtower.exchanges.exchange import Exchange
from watchtower.exchanges.server_sent_events import EventSplitter
from watchtower.vocabulary.errors import UNREADABLE, ProtocolFault

_MODEL_CHARACTERS = 256


class TokenUsage(msgspec.Struct, gc=False):
    """Totals by the engine's own count, under either of the names in use."""

    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens: int | None = None


class AnswerPart(msgspec.Struct, gc=False):
    """An event or a whole body: what every dialect may say in one."""

    model: str | None = None
    usage: TokenUsage | None = None
    error: Any = None


Part = TypeVar("Part", bound=AnswerPart)


class AnswerReader(Generic[Part]):
    """What streams and bodies share (``exchanges.dialect.Reader``)."""

    def __init__(self, exchange: Exchange, decode: Callable[[bytes | bytearray], Part]) -> None:
        self.exchange = exchange
        self._decode = decode
        self.malformed = 0
        self.errored = False
        self.ended = False

    def _found(self, part: Part) -> None:
        """An event, or the body, was decoded; ``exchange.fresh`` grows by the tokens in it."""
        raise NotImplementedError

    def _note(self, part: AnswerPart) -> None:
        usage = part.usage
        if usage is not None:
            completion = usage.completion_tokens if usage.completion_tokens is not None else usage.output_tokens
            prompt = usage.prompt_tokens if usage.prompt_tokens is not None else usage.input_tokens
            if completion is not None:
                self.exchange.completion_tokens = completion
            if prompt is not None:
                self.exchange.prompt_tokens = prompt
        if part.error:
            self.errored = True

    def _finish_reason(self, reason: object) -> None:
        self.ended = True
        # Engines send a string; whatever else it is must not travel as a label.
        self.exchange.finish_reason = reason[:32] if isinstance(reason, str) else "other"


class EventStreamReader(AnswerReader[Part]):
    """A stream of server-sent events."""

    def __init__(self, exchange: Exchange, decode: Callable[[bytes | bytearray], Part]) -> None:
        super().__init__(exchange, decode)
        self._events = EventSplitter(self._event)
        self.feed = self._events.feed
        """Body bytes. Raises ProtocolFault for a stream that is not of this dialect: its tokens cannot be told."""
        self._named = False
        self._readable = False
        exchange.describe(stream=True)

    def finish(self) -> None:
        """The response's framing ended."""
        self._events.finish()

    def _event(self, payload: bytes) -> None:
        try:
            part = self._decode(payload)
        except UNREADABLE:
            if payload.strip() == b"[DONE]":
                self.ended = True
                return
            self.malformed += 1
            if not self._readable:
                raise ProtocolFault("not a stream of this dialect") from None
            return
        self._readable = True
        if not self._named and part.model:
            self._named = True
            self.exchange.describe(model=part.model[:_MODEL_CHARACTERS])
        if part.usage is not None or part.error is not None:
            self._note(part)
        self._found(part)


class BodyReader(AnswerReader[Part]):
    """A JSON body in one piece: usage and finish reason; it has no inter-token gaps."""

    def __init__(self, exchange: Exchange, decode: Callable[[bytes | bytearray], Part]) -> None:
        super().__init__(exchange, decode)
        self._body = bytearray()

    def feed(self, body: bytes) -> None:
        """Raises ProtocolFault past MAX_BODY_BYTES."""
        self._body += body
        if len(self._body) > MAX_BODY_BYTES:
            self._body.clear()
            raise ProtocolFault("the answer is longer than 4 MiB")

    def finish(self) -> None:
        """The body is whole."""
        self.ended = True
        try:
            part = self._decode(self._body)
        except UNREADABLE:
            self.malformed += 1
            return
        self._note(part)
        if part.model:
            self.exchange.describe(model=part.model[:_MODEL_CHARACTERS])
        self._found(part)
