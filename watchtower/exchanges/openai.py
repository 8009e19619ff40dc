"""The OpenAI dialects: how many tokens an event or a body carries, and how an answer ended.

Decoding is typed (msgspec skips every field that is not named here). A token count is exact where the engine tells:
``choices[].token_ids``, or ``usage.completion_tokens`` growing on every event. Otherwise an event with text counts as
one token and the exchange is marked estimated. Usage that appears only after text was already counted is a final
total, not progress. ``/v1/messages`` and ``/v1/responses`` send typed deltas: one estimated token each.
No text is kept but of exchanges that are sampled, and no mutilated event raises: what cannot be read is counted in
``malformed``.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from watchtower.exchanges.exchange import AnswerText, Exchange
from watchtower.exchanges.server_sent_events import EventSplitter
from watchtower.vocabulary.errors import UNREADABLE, ProtocolFault

MAX_BODY_BYTES: Final = 4 * 1024 * 1024
"""A longer JSON body is not kept for its usage."""
MAX_REQUEST_BYTES: Final = 64 * 1024
"""A longer request body is not decoded: the answer names the model, and its type says whether it streams."""

_LAST_TYPES: Final = frozenset({"message_stop", "response.completed", "response.incomplete"})
_ERROR_TYPES: Final = frozenset({"error", "response.failed"})


class _Delta(msgspec.Struct, gc=False):
    content: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    tool_calls: Any = None
    function_call: Any = None
    refusal: Any = None


class _Choice(msgspec.Struct, gc=False):
    index: int | None = 0
    delta: _Delta | None = None
    text: Any = None
    token_ids: Any = None
    finish_reason: Any = None


class _Usage(msgspec.Struct, gc=False):
    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens: int | None = None


class _Answer(msgspec.Struct, gc=False):
    """An event or a whole body."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None
    model: str | None = None
    type: str | None = None


class _Message(msgspec.Struct, gc=False):
    content: Any = None


class _SaidChoice(msgspec.Struct, gc=False):
    message: _Message | None = None
    text: Any = None


class _Said(msgspec.Struct, gc=False):
    """A whole body, where its text is wanted."""

    choices: list[_SaidChoice] = []


class _Request(msgspec.Struct, gc=False):
    model: str = ""
    stream: bool | None = False


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_said = msgspec.json.Decoder(_Said).decode
_decode_request = msgspec.json.Decoder(_Request).decode


def describe_request(exchange: Exchange, body: bytes) -> None:
    """Name the model and whether a stream was asked for, if ``body`` tells."""
    try:
        request = _decode_request(body)
    except UNREADABLE:
        return
    exchange.describe(model=request.model[:256], stream=bool(request.stream))


class _Reader:
    """What streams and bodies share."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.malformed = 0
        """Events (or bodies) that could not be read."""
        self.errored = False
        """The engine reported an error inside a 200."""
        self.ended = False
        """The last event (or the body's finish reason) was seen."""

    def _note(self, answer: _Answer) -> None:
        usage = answer.usage
        if usage is not None:
            completion = usage.completion_tokens if usage.completion_tokens is not None else usage.output_tokens
            prompt = usage.prompt_tokens if usage.prompt_tokens is not None else usage.input_tokens
            if completion is not None:
                self.exchange.completion_tokens = completion
            if prompt is not None:
                self.exchange.prompt_tokens = prompt
        if answer.error:
            self.errored = True

    def _finish_reason(self, reason: object) -> None:
        self.ended = True
        # Engines send a string; whatever else it is must not travel as a label.
        self.exchange.finish_reason = reason[:32] if isinstance(reason, str) else "other"


def _says_something(choice: _Choice) -> bool:
    delta = choice.delta
    return bool(choice.text) or (
        delta is not None
        and bool(
            delta.content
            or delta.reasoning
            or delta.reasoning_content
            or delta.tool_calls
            or delta.function_call
            or delta.refusal
        )
    )


class StreamReader(_Reader):
    """A stream of server-sent events."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange)
        self._events = EventSplitter(self._event)
        self.feed = self._events.feed
        """Body bytes. Raises ProtocolFault for a stream that is no stream of completions: its tokens cannot be told."""
        self._told: dict[int | None, int] | None = None  # by choice, where usage is continuous
        self._estimating = False
        self._named = False
        self._readable = False
        exchange.describe(stream=True)

    def finish(self) -> None:
        """The response's framing ended."""
        self._events.finish()

    def _event(self, payload: bytes) -> None:
        try:
            answer = _decode_answer(payload)
        except UNREADABLE:
            if payload.strip() == b"[DONE]":
                self.ended = True
                return
            self.malformed += 1
            if not self._readable:
                raise ProtocolFault("not a stream of completions") from None
            return
        self._readable = True
        if not self._named and answer.model:
            self._named = True
            self.exchange.describe(model=answer.model[:256])
        if answer.usage is not None or answer.error is not None:
            self._note(answer)
        if answer.choices:
            self.exchange.fresh += self._tokens(answer.choices, answer.usage)
            if self.exchange.sample is not None and not answer.choices[0].index:
                first = answer.choices[0]
                self.exchange.sample.add(first.delta.content if first.delta is not None else first.text)
        elif answer.type is not None:
            self._typed(answer.type)

    def _tokens(self, choices: list[_Choice], usage: _Usage | None) -> int:
        exact = -1
        for choice in choices:
            if choice.finish_reason is not None:
                self._finish_reason(choice.finish_reason)
            if choice.token_ids is not None and isinstance(choice.token_ids, list):
                exact = max(0, exact) + len(choice.token_ids)
        if exact >= 0:
            return exact
        if usage is not None and usage.completion_tokens is not None and not self._estimating:
            if self._told is None:
                self._told = {}
            index, now = choices[0].index, usage.completion_tokens
            before = self._told.get(index, 0)
            self._told[index] = now
            return now - before if now > before else 0
        if self._told is None and (texts := sum(map(_says_something, choices))):
            self._estimating = True
            self.exchange.estimated = True
            return texts
        return 0

    def _typed(self, kind: str) -> None:
        if kind.endswith("delta") and kind != "message_delta":
            self.exchange.estimated = True
            self.exchange.fresh += 1
        elif kind in _LAST_TYPES:
            self.ended = True
        elif kind in _ERROR_TYPES:
            self.errored = True


class BodyReader(_Reader):
    """A JSON body in one piece: usage and finish reason; it has no inter-token gaps."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange)
        self._body = bytearray()

    def feed(self, body: bytes) -> None:
        """Raises ProtocolFault past MAX_BODY_BYTES."""
        self._body += body
        if len(self._body) > MAX_BODY_BYTES:
            self._body.clear()
            raise ProtocolFault("the answer is longer than 4 MiB")

    def finish(self) -> None:
        self.ended = True
        try:
            answer = _decode_answer(self._body)
        except UNREADABLE:
            self.malformed += 1
            return
        self._note(answer)
        if answer.model:
            self.exchange.describe(model=answer.model[:256])
        for choice in answer.choices or ():
            if choice.finish_reason is not None:
                self._finish_reason(choice.finish_reason)
        if self.exchange.sample is not None:
            self._sample(self.exchange.sample)

    def _sample(self, sample: AnswerText) -> None:
        try:
            said = _decode_said(self._body)
        except UNREADABLE:
            return
        for choice in said.choices[:1]:
            sample.add(choice.message.content if choice.message is not None else choice.text)
