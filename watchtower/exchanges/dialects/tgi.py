"""Text Generation Inference's own routes: an event a token, and the number of them at the end if details were asked.

DJL's servers give the same objects, one a line.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from watchtower.exchanges.answer_reading import AnswerPart, EventStreamReader, PartsReader
from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.exchange import Exchange
from watchtower.exchanges.first_bytes import Shape, open_as
from watchtower.exchanges.json_lines import JsonLinesReader
from watchtower.exchanges.openai_requests import describe_request
from watchtower.exchanges.text_output import TEXT_OUTPUT_SHAPE

_ERROR_TYPES: Final = {
    "validation": "invalid_request_error",
    "template_error": "invalid_request_error",
    "tool_error": "invalid_request_error",
    "overloaded": "rate_limit_error",
}
"""Whose fault an error is, in the words that ``errors_inside`` knows."""


class _TgiToken(msgspec.Struct, gc=False):
    text: Any = None


class _TgiDetails(msgspec.Struct, gc=False):
    finish_reason: Any = None
    generated_tokens: int | None = None
    input_length: int | None = None


class _TgiPart(AnswerPart, gc=False):
    error_type: Any = None
    token: _TgiToken | None = None
    generated_text: Any = None
    details: _TgiDetails | None = None
    predictions: Any = None


_decode_part = msgspec.json.Decoder(_TgiPart).decode
_decode_either = msgspec.json.Decoder(_TgiPart | list[_TgiPart]).decode


def _decode_line(line: bytes | bytearray) -> _TgiPart:
    """The root route puts its one answer into a list."""
    found: _TgiPart | list[_TgiPart] = _decode_either(line)
    if isinstance(found, list):
        return found[0] if found else _TgiPart()
    return found


class _TgiAnswer(PartsReader[_TgiPart]):
    """What events and lines share."""

    def _note(self, part: AnswerPart) -> None:
        """Their error is a sentence, and its type stands beside it."""
        if part.error:
            kind = part.error_type if isinstance(part, _TgiPart) else None
            self._error({"type": _ERROR_TYPES.get(kind, kind)} if isinstance(kind, str) else part.error)

    def _is_ours(self, part: _TgiPart) -> bool:
        """Write down what ``part`` says of its answer. False: nothing, it is something else."""
        exchange, details = self.exchange, part.details
        if part.token is not None:
            exchange.fresh += 1
            if exchange.sample is not None:
                exchange.sample.add(part.token.text)
        if details is not None:
            if details.generated_tokens is not None:
                exchange.completion_tokens = details.generated_tokens
            if details.input_length is not None:
                exchange.prompt_tokens = details.input_length
            if details.finish_reason is not None:
                self._finish_reason(details.finish_reason)
        whole = part.generated_text is not None or part.predictions is not None
        self.ended = self.ended or whole
        return whole or part.token is not None


class TgiStream(_TgiAnswer, EventStreamReader[_TgiPart]):
    """An event a token."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange, _decode_part)


class TgiLines(_TgiAnswer, JsonLinesReader[_TgiPart]):
    """An object a token, or the whole answer in one."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange, _decode_line)

    def _is_ours(self, part: _TgiPart) -> bool:
        ours = super()._is_ours(part)
        if ours:
            self._said = self._said or bool(part.generated_text or part.predictions)
            if part.token is not None:
                self.exchange.describe(stream=True)
        return ours


TGI_SHAPE: Final = Shape(
    keys=frozenset({"token", "generated_text", "details", "error_type"}),
    events=TgiStream,
    body=TgiLines,
    lines=TgiLines,
)
TGI: Final = Dialect(
    name="tgi",
    routes=("/generate_stream", "/", "/vertex"),
    describe=describe_request,
    open=open_as(TGI_SHAPE, TEXT_OUTPUT_SHAPE),
)
