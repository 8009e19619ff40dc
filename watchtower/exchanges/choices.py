"""Answers made of ``choices``: OpenAI's chat and its completions.

A token count is exact where the engine tells: ``choices[].token_ids``, or ``usage.completion_tokens`` that grows with
the text. Otherwise an event with text counts as one token and the exchange is marked estimated. Usage that stays while
text comes is no count, and usage of one event alone is a total.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from watchtower.exchanges.answer_reading import (
    ONE_TOKEN_CHARACTERS,
    AnswerPart,
    BodyReader,
    EventStreamReader,
    TokenUsage,
    is_reason,
)
from watchtower.exchanges.errors_inside import flat_error
from watchtower.exchanges.exchange import AnswerText, Exchange
from watchtower.exchanges.first_bytes import Shape, open_as
from watchtower.exchanges.growing_usage import GrowingUsage

_MOST_IN_AN_EVENT: Final = 1024
"""Choices; engines put one into each, or a few."""


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


class _Timings(msgspec.Struct, gc=False):
    """llama.cpp's own count of a choice's tokens: at its end, and with every event if that was asked for."""

    predicted_n: int | None = None


class _ChoicesPart(AnswerPart, gc=False):
    choices: list[_AnswerChoice] | None = None
    timings: _Timings | None = None


class _BodyChoice(msgspec.Struct, gc=False):
    message: _Delta | None = None
    text: Any = None
    token_ids: Any = None
    finish_reason: Any = None


class _BodyPart(AnswerPart, gc=False):
    choices: list[_BodyChoice] | None = None


_decode_part = msgspec.json.Decoder(_ChoicesPart).decode
_decode_body = msgspec.json.Decoder(_BodyPart).decode


class ChoiceStream(EventStreamReader[_ChoicesPart]):
    """A stream of events with choices in them."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange, _decode_part)
        self._usage = GrowingUsage()
        self._unfinished: set[int] | None = None  # once there are several choices
        self._finished: set[int] = set()

    def _found(self, part: _ChoicesPart, payload: bytes | bytearray) -> None:
        choices = part.choices
        if not choices:
            self._without_choice(part, payload)
            return
        choice = choices[0]
        if part.timings is not None:
            self._timed_by_engine(part, part.timings)
        if choice.index or self._unfinished is not None or len(choices) > 1:
            self._several(part, choices)
        else:
            self._readable = True
            exchange, delta = self.exchange, choice.delta
            if choice.token_ids is not None:
                exchange.fresh += self._count(choice, part)
            elif part.usage is not None:
                usage, total = self._usage, part.usage.completion_tokens
                if usage.grows and total is not None:  # as in ``count``, without a call for every token
                    before = usage.newest[0]
                    if total > before:
                        usage.newest[0] = total
                        exchange.fresh += total - before
                else:
                    exchange.fresh += self._count(choice, part)
            elif delta is not None and delta.content and not self._usage.grows:
                self._usage.is_no_count = exchange.estimated = True
                exchange.fresh += 1
            else:
                exchange.fresh += self._estimate(choice)
            if choice.finish_reason is not None:
                self._finish_reason(choice.finish_reason)
        if self.exchange.sample is not None and not choice.index:
            self.exchange.sample.add(choice.delta.content if choice.delta is not None else choice.text)

    def _timed_by_engine(self, part: _ChoicesPart, timings: _Timings) -> None:
        if part.usage is None and timings.predicted_n is not None:
            part.usage = TokenUsage(completion_tokens=timings.predicted_n)
            ends = part.choices is not None and part.choices[0].finish_reason is not None
            if ends and self.exchange.completion_tokens < 0 and self._unfinished is None:
                self.exchange.completion_tokens = timings.predicted_n

    def _without_choice(self, part: _ChoicesPart, payload: bytes | bytearray) -> None:
        if part.choices is None and part.usage is None and not part.error:
            error = flat_error(payload)
            if error is not None:
                self._error(error)
            else:
                self._stranger()

    def _several(self, part: _ChoicesPart, choices: list[_AnswerChoice]) -> None:
        """An event of an answer that has more than one choice, or an event with more than one."""
        exchange = self.exchange
        if self._unfinished is None:
            first_open = self._readable and not self.ended
            exchange.split(first_open=first_open)
            self._unfinished = {0} if first_open else set()
        self._readable = True
        uneven = exchange.uneven
        for choice in choices[:_MOST_IN_AN_EVENT]:
            index = choice.index or 0
            if index not in self._finished and uneven.seen(index):
                self._unfinished.add(index)
            count = self._count(choice, part)
            if count:
                exchange.fresh += count
                uneven.tokens_of(index, count)
            if choice.finish_reason is not None and self._finish_reason(choice.finish_reason):
                if index in self._unfinished:
                    self._unfinished.remove(index)
                    self._finished.add(index)
                uneven.finished(index)
        self.ended = not self._unfinished

    def _count(self, choice: _AnswerChoice, part: _ChoicesPart) -> int:
        """Tokens in ``choice``."""
        if isinstance(choice.token_ids, list):
            return len(choice.token_ids)
        usage = part.usage
        if usage is None or usage.completion_tokens is None or self._usage.is_no_count:
            return self._estimate(choice)
        says, ends = _says_something(choice), is_reason(choice.finish_reason)
        count, more = self._usage.count(choice.index or 0, usage.completion_tokens, says=says, ends=ends)
        self.exchange.estimated = self._usage.is_guess
        if more:
            self.exchange.more_tokens(more)
        return count

    def _estimate(self, choice: _AnswerChoice) -> int:
        delta = choice.delta
        if self._usage.grows or not (choice.text or (delta is not None and _delta_says(delta))):
            return 0
        self._usage.is_no_count = self.exchange.estimated = True
        if delta is not None and not delta.content and _was_held_back(delta):
            self.exchange.uneven.unsized()
        return 1


def _says_something(choice: _AnswerChoice) -> bool:
    delta = choice.delta
    return bool(choice.text) or (delta is not None and _delta_says(delta))


def _delta_says(delta: _Delta) -> bool:
    return bool(
        delta.content
        or delta.reasoning
        or delta.reasoning_content
        or delta.tool_calls
        or delta.function_call
        or delta.refusal
    )


def _was_held_back(delta: _Delta) -> bool:
    """A piece of a tool call that is more than one token: it names the function, or has long arguments."""
    calls = delta.tool_calls if isinstance(delta.tool_calls, list) else [{"function": delta.function_call}]
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and (
            function.get("name") or len(str(function.get("arguments", ""))) > ONE_TOKEN_CHARACTERS
        ):
            return True
    return len(calls) > 1


class ChoiceBody(BodyReader[_BodyPart]):
    """A body with choices in it."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange, _decode_body)

    def _found(self, part: _BodyPart, payload: bytes | bytearray) -> None:
        if part.choices is None:
            error = None if part.error else flat_error(payload)
            if error is not None:
                self._error(error)
            return
        self.ended = True
        for choice in part.choices:
            message = choice.message
            self._said |= bool(choice.text or choice.token_ids or (message is not None and _delta_says(message)))
            if choice.finish_reason is not None:
                self._finish_reason(choice.finish_reason)
        if self.exchange.sample is not None:
            self._sample(part.choices, self.exchange.sample)

    def _sample(self, choices: list[_BodyChoice], sample: AnswerText) -> None:
        for choice in choices[:1]:
            sample.add(choice.message.content if choice.message is not None else choice.text)


CHOICES_SHAPE: Final = Shape(keys=frozenset({"choices"}), events=ChoiceStream, body=ChoiceBody)
open_choices: Final = open_as(CHOICES_SHAPE)
