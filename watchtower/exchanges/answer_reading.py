"""What readers of all dialects share: events or a body come in, usage, model, errors and endings are written down.

Decoding is typed (msgspec skips every field that is not named). No text is kept but of exchanges that are sampled, and
no mutilated event raises: what cannot be read is counted in ``malformed``, unless nothing before it could be read
either. A dialect adds what its answers carry: ``_found`` gets each of them decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import msgspec

from watchtower.exchanges.dialect import MAX_BODY_BYTES
from watchtower.exchanges.errors_inside import blame
from watchtower.exchanges.exchange import Exchange
from watchtower.exchanges.server_sent_events import EventSplitter
from watchtower.vocabulary.errors import UNREADABLE, ProtocolFault
from watchtower.vocabulary.facts import Ending
from watchtower.vocabulary.words import FINISH_REASONS

_MODEL_CHARACTERS = 256
MOST_STRANGERS: Final = 8
"""Payloads of another kind before the first of this dialect: then the stream is not of this dialect."""
ONE_TOKEN_CHARACTERS: Final = 16
"""Arguments of a tool call longer than this in one piece were held back: a token has about four characters."""
_GIVEN_UP: Final = frozenset({"abort", "error"})
_NO_REASONS: Final = frozenset({"", "null", "none"})
"""Some engines send these on every event of a stream that goes on."""


class TokenUsage(msgspec.Struct, gc=False):
    """Totals by the engine's own count, under either of the names in use."""

    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    """Where the prompt is called input, these two are not in it."""


class AnswerPart(msgspec.Struct, gc=False):
    """An event or a whole body: what every dialect may say in one."""

    model: str | None = None
    usage: TokenUsage | None = None
    error: Any = None


Part = TypeVar("Part", bound=AnswerPart)


def is_reason(reason: object) -> bool:
    """A finish reason is one."""
    return reason.strip().lower() not in _NO_REASONS if isinstance(reason, str) else bool(reason)


class AnswerReader(Generic[Part]):
    """What streams and bodies share (``exchanges.dialect.Reader``)."""

    def __init__(self, exchange: Exchange, decode: Callable[[bytes | bytearray], Part]) -> None:
        self.exchange = exchange
        self._decode = decode
        self.malformed = 0
        self.errored = False
        self.ended = False
        self.failure = Ending.ERROR
        """What kind of error it was, where there was one."""

    def ending(self) -> Ending | None:
        """How the answer ended, by what was read of it; None: it has not."""
        if self.errored:
            return self.failure
        if not self.ended:
            return None
        return Ending.EMPTY if self._is_empty() and not self._claims_tokens() else Ending.COMPLETE

    def cut(self) -> None:
        """There will be no more, although the answer's framing has not ended."""

    def _found(self, part: Part, payload: bytes | bytearray) -> None:
        """An event, or the body, was decoded; ``exchange.fresh`` grows by the tokens in it. ``payload``: what it was
        decoded from, for whoever needs more of it."""
        raise NotImplementedError

    def _is_empty(self) -> bool:
        """Nothing was said: no text, no tool call."""
        raise NotImplementedError

    def _claims_tokens(self) -> bool:
        """The engine counted tokens that nobody saw. One that ends the answer at once is none."""
        claimed = self.exchange.completion_tokens
        return claimed > 1 or (claimed == 1 and self.exchange.finish_reason not in ("stop", "end_turn", ""))

    def _describe(self, model: str) -> None:
        self.exchange.describe(model=model[:_MODEL_CHARACTERS])

    def _note(self, part: AnswerPart) -> None:
        usage = part.usage
        if usage is not None:
            completion = usage.completion_tokens if usage.completion_tokens is not None else usage.output_tokens
            prompt = usage.prompt_tokens
            if prompt is None and usage.input_tokens is not None:
                prompt = usage.input_tokens
                prompt += (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
            if completion is not None:
                self.exchange.completion_tokens = completion
            if prompt is not None:
                self.exchange.prompt_tokens = prompt
        if part.error:  # an empty one is none
            self._error(part.error)

    def _error(self, error: object) -> None:
        """The engine reported ``error`` inside a 200; the first one counts."""
        if not self.errored:
            self.errored = True
            self.failure = blame(error)

    def _finish_reason(self, reason: object) -> bool:
        """The answer (or one of its choices) has ended for ``reason``. False: this is no reason, it goes on."""
        if isinstance(reason, dict):
            reason = reason.get("type")
        if not is_reason(reason):
            return False
        # Engines send a string; whatever else it is must not travel as a label.
        reason = reason.strip() if isinstance(reason, str) else "other"
        self.ended = True
        exchange = self.exchange
        exchange.finish_reason = reason[:32]
        if reason not in FINISH_REASONS:
            exchange.unknown_finish = True
        elif reason in _GIVEN_UP and not self.errored:
            self.errored, self.failure = True, Ending.FAILED
        return True


class PartsReader(AnswerReader[Part]):
    """An answer in many parts, events or lines. A dialect says which of them are its own."""

    def __init__(self, exchange: Exchange, decode: Callable[[bytes | bytearray], Part]) -> None:
        super().__init__(exchange, decode)
        self._named = False
        self._readable = False
        """Something of this dialect was read."""
        self._strangers = 0

    def finish(self) -> None:
        """The answer's framing ended. Raises ProtocolFault for an answer in which nothing was of this dialect."""
        if self._strangers and not (self._readable or self.ended or self.errored):
            raise ProtocolFault("nothing in it is of this dialect")

    def _part(self, payload: bytes) -> None:
        try:
            part = self._decode(payload)
        except UNREADABLE:
            self._unreadable(payload)
            return
        if not self._named and part.model:
            self._named = True
            self._describe(part.model)
        if part.usage is not None or part.error is not None:
            self._note(part)
        self._found(part, payload)

    def _unreadable(self, payload: bytes) -> None:
        """``payload`` cannot be decoded."""
        raise NotImplementedError

    def _found(self, part: Part, payload: bytes | bytearray) -> None:
        if self._is_ours(part):
            self._readable = True
        elif not part.error:
            self._stranger()

    def _is_ours(self, part: Part) -> bool:
        """Read ``part``; whether it is of this dialect. Who must see the payload brings ``_found`` instead."""
        raise NotImplementedError

    def _stranger(self) -> None:
        """A part that is not of this dialect. Raises ProtocolFault when there were many and nothing else."""
        self._strangers += 1
        if self._strangers >= MOST_STRANGERS and not (self._readable or self.errored):
            raise ProtocolFault("nothing in it is of this dialect")


class EventStreamReader(PartsReader[Part]):
    """A stream of server-sent events."""

    def __init__(self, exchange: Exchange, decode: Callable[[bytes | bytearray], Part]) -> None:
        super().__init__(exchange, decode)
        self._events = EventSplitter(self._part, self._error_event)
        self.feed = self._events.feed
        """Body bytes. Raises ProtocolFault for a stream that is not of this dialect: its tokens cannot be told."""
        exchange.describe(stream=True)

    def finish(self) -> None:
        self._events.finish()
        super().finish()

    def cut(self) -> None:
        self._events.finish()

    def _is_empty(self) -> bool:
        return not self.exchange.has_tokens

    def _error_event(self, payload: bytes) -> None:
        """An event or a field that is called ``error``."""
        try:
            error = msgspec.json.decode(payload)
        except UNREADABLE:
            error = {"message": "no JSON"}
        self._error(error)

    def _unreadable(self, payload: bytes) -> None:
        stripped = payload.strip()
        if stripped == b"[DONE]":
            self.ended = True
        elif stripped:
            self.malformed += stripped.startswith(b"{")
            self._stranger()


class BodyReader(AnswerReader[Part]):
    """A JSON body in one piece: usage and finish reason; it has no inter-token gaps."""

    def __init__(self, exchange: Exchange, decode: Callable[[bytes | bytearray], Part]) -> None:
        super().__init__(exchange, decode)
        self._body = bytearray()
        self._said = False
        """There is text in it, or a tool call."""

    def feed(self, body: bytes) -> None:
        """Raises ProtocolFault past MAX_BODY_BYTES."""
        self._body += body
        if len(self._body) > MAX_BODY_BYTES:
            self._body.clear()
            raise ProtocolFault("the answer is longer than 4 MiB")

    def finish(self) -> None:
        """The body is whole. What is no JSON object, or has no answer in it, does not end: it is cut."""
        try:
            part = self._decode(self._body)
        except UNREADABLE:
            self.malformed += 1
            return
        self._note(part)
        if part.model:
            self._describe(part.model)
        self._found(part, self._body)

    def _is_empty(self) -> bool:
        return not self._said
