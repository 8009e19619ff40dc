"""llama.cpp's own routes: every event counts the tokens so far, and the last one says why it stopped."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from watchtower.exchanges.answer_reading import AnswerPart, BodyReader, EventStreamReader
from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.errors_inside import flat_error
from watchtower.exchanges.exchange import Exchange
from watchtower.exchanges.first_bytes import Shape, open_as
from watchtower.exchanges.openai_requests import describe_request
from watchtower.exchanges.running_totals import RunningTotals

_NO_STOP: Final = "none"


class _LlamaPart(AnswerPart, gc=False):
    index: int | None = 0
    content: Any = None
    stop: bool | None = None
    stop_type: Any = None
    tokens_predicted: int | None = None
    tokens_evaluated: int | None = None


class _LlamaBody(AnswerPart, gc=False):
    answers: list[_LlamaPart] = msgspec.field(default_factory=list)


_decode_part = msgspec.json.Decoder(_LlamaPart).decode
_decode_answers = msgspec.json.Decoder(_LlamaPart | list[_LlamaPart]).decode


def _decode_body(body: bytes | bytearray) -> _LlamaBody:
    found = _decode_answers(body)
    answers = found if isinstance(found, list) else [found]
    return _LlamaBody(
        model=next((answer.model for answer in answers if answer.model), None),
        error=next((answer.error for answer in answers if answer.error), None),
        answers=answers,
    )


class LlamaStream(EventStreamReader[_LlamaPart]):
    """An event for every piece of text."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange, _decode_part)
        self._running = RunningTotals(exchange)

    def _found(self, part: _LlamaPart, payload: bytes | bytearray) -> None:
        if part.stop is None and part.tokens_predicted is None:
            if not part.error:
                error = flat_error(payload)
                self._stranger() if error is None else self._error(error)
            return
        self._readable = True
        exchange = self.exchange
        if part.tokens_evaluated is not None:
            exchange.prompt_tokens = part.tokens_evaluated
        if exchange.sample is not None and not part.index:
            exchange.sample.add(part.content)
        if part.stop and part.stop_type != _NO_STOP:
            self._finish_reason(part.stop_type)
        self._running.found(part.index or 0, part.tokens_predicted or 0, finished=bool(part.stop))
        self.ended = self._running.all_finished


class LlamaBody(BodyReader[_LlamaBody]):
    """One answer, or a list of them."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange, _decode_body)

    def _found(self, part: _LlamaBody, payload: bytes | bytearray) -> None:
        answers = [answer for answer in part.answers if answer.stop is not None]
        if not answers:
            error = None if part.error else flat_error(payload)
            if error is not None:
                self._error(error)
            return
        self.ended = True
        self._said = any(answer.content for answer in answers)
        self.exchange.completion_tokens = sum(answer.tokens_predicted or 0 for answer in answers)
        self.exchange.prompt_tokens = max(answer.tokens_evaluated or 0 for answer in answers)
        for answer in answers:
            if answer.stop_type != _NO_STOP:
                self._finish_reason(answer.stop_type)
        if self.exchange.sample is not None:
            self.exchange.sample.add(answers[0].content)


LLAMA_CPP_SHAPE: Final = Shape(
    keys=frozenset({"tokens_predicted", "stop"}),
    events=LlamaStream,
    body=LlamaBody,
)
LLAMA_CPP: Final = Dialect(
    name="llama_cpp",
    routes=("/completion", "/infill"),
    describe=describe_request,
    open=open_as(LLAMA_CPP_SHAPE),
)
