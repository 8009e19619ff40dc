"""Answers made of ``choices``: OpenAI's chat and its completions.

A token count is exact where the engine tells: ``choices[].token_ids``, or ``usage.completion_tokens`` growing on every
event. Otherwise an event with text counts as one token and the exchange is marked estimated. Usage that appears only
after text was already counted is a final total, not progress.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from watchtower.exchanges.answer_reading import AnswerPart, BodyReader, EventStreamReader
from watchtower.exchanges.dialect import EVENT_STREAM, JSON, Reader
from watchtower.exchanges.exchange import AnswerText, Exchange
from watchtower.vocabulary.errors import UNREADABLE

ERROR_TYPE: Final = "error"


class _Delta(msgspec.Struct, gc=False):
    content: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    tool_calls: Any = None
    function_call: Any = None
    refusal: Any = None


class _AnswerChoice(msgspec.Struct, gc=False):
    index: int | None = 0
    delta: _Delta | None = None
    text: Any = None
    token_ids: Any = None
    finish_reason: Any = None


class _ChoicesPart(AnswerPart, gc=False):
    choices: list[_AnswerChoice] | None = None
    type: str | None = None


class _WholeMessage(msgspec.Struct, gc=False):
    content: Any = None


class _WholeChoice(msgspec.Struct, gc=False):
    message: _WholeMessage | None = None
    text: Any = None


class _WholeText(msgspec.Struct, gc=False):
    """A whole body, where its text is wanted."""

    choices: list[_WholeChoice] = []


_decode_part = msgspec.json.Decoder(_ChoicesPart).decode
_decode_text = msgspec.json.Decoder(_WholeText).decode


def open_choices(exchange: Exchange, content_type: str) -> Reader | None:
    """A stream, a body, or nothing that we can read."""
    if content_type == EVENT_STREAM:
        return ChoiceStream(exchange)
    if content_type == JSON:
        return ChoiceBody(exchange)
    return None


class ChoiceStream(EventStreamReader[_ChoicesPart]):
    """A stream of events with choices in them."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange, _decode_part)
        self._counted: dict[int | None, int] | None = None  # by choice, where usage is continuous
        self._estimating = False

    def _found(self, part: _ChoicesPart) -> None:
        choices = part.choices
        if not choices:
            if part.type == ERROR_TYPE:
                self.errored = True
            return
        exchange, usage = self.exchange, part.usage
        exact = -1
        for choice in choices:
            if choice.finish_reason is not None:
                self._finish_reason(choice.finish_reason)
            if choice.token_ids is not None and isinstance(choice.token_ids, list):
                exact = max(0, exact) + len(choice.token_ids)
        if exact >= 0:
            exchange.fresh += exact
        elif usage is not None and usage.completion_tokens is not None and not self._estimating:
            counted = self._counted
            if counted is None:
                counted = self._counted = {}
            index, total = choices[0].index, usage.completion_tokens
            before = counted.get(index, 0)
            counted[index] = total
            if total > before:
                exchange.fresh += total - before
        elif self._counted is None:
            for choice in choices:
                if _says_something(choice):
                    self._estimating = exchange.estimated = True
                    exchange.fresh += 1
        if exchange.sample is not None and not choices[0].index:
            first = choices[0]
            exchange.sample.add(first.delta.content if first.delta is not None else first.text)


def _says_something(choice: _AnswerChoice) -> bool:
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


class ChoiceBody(BodyReader[_ChoicesPart]):
    """A body with choices in it."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange, _decode_part)

    def _found(self, part: _ChoicesPart) -> None:
        for choice in part.choices or ():
            if choice.finish_reason is not None:
                self._finish_reason(choice.finish_reason)
        if self.exchange.sample is not None:
            self._sample(self.exchange.sample)

    def _sample(self, sample: AnswerText) -> None:
        try:
            whole = _decode_text(self._body)
        except UNREADABLE:
            return
        for choice in whole.choices[:1]:
            sample.add(choice.message.content if choice.message is not None else choice.text)
