"""SGLang's own ``/generate``: ``meta_info`` counts the tokens so far, in every event and for every answer.

The route is shared: TGI, Triton's generate extension and vLLM's old demonstration server answer on it as well, each in
its own shape.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from watchtower.exchanges.answer_reading import AnswerPart, BodyReader, EventStreamReader
from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.dialects.tgi import TGI_SHAPE
from watchtower.exchanges.errors_inside import flat_error
from watchtower.exchanges.exchange import Exchange
from watchtower.exchanges.first_bytes import Shape, open_as
from watchtower.exchanges.openai_requests import describe_request
from watchtower.exchanges.running_totals import RunningTotals
from watchtower.exchanges.text_output import TEXT_OUTPUT_SHAPE


class _MetaInfo(msgspec.Struct, gc=False):
    finish_reason: Any = None
    """An object with a ``type``; with a ``status_code`` where the request was given up."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _SglangPart(AnswerPart, gc=False):
    meta_info: _MetaInfo | None = None
    index: int | None = 0
    predictions: Any = None
    """Vertex: the whole answer is in it."""


class _SglangBody(AnswerPart, gc=False):
    answers: list[_SglangPart] = msgspec.field(default_factory=list)


_decode_part = msgspec.json.Decoder(_SglangPart).decode
_decode_answers = msgspec.json.Decoder(_SglangPart | list[_SglangPart]).decode


def _decode_body(body: bytes | bytearray) -> _SglangBody:
    found = _decode_answers(body)
    answers = found if isinstance(found, list) else [found]
    return _SglangBody(answers=answers, error=next((answer.error for answer in answers if answer.error), None))


def _refusal(reason: object) -> object:
    """The error inside a reason to give a request up; None where it names no status."""
    if isinstance(reason, dict) and isinstance(reason.get("status_code"), int):
        return {"code": reason["status_code"]}
    return None


class SglangStream(EventStreamReader[_SglangPart]):
    """Events with ``meta_info``."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange, _decode_part)
        self._running = RunningTotals(exchange)

    def _found(self, part: _SglangPart, payload: bytes | bytearray) -> None:
        meta = part.meta_info
        if meta is None:
            self._without_meta(part, payload)
            return
        self._readable = True
        if meta.prompt_tokens is not None:
            self.exchange.prompt_tokens = meta.prompt_tokens
        finished = False
        if meta.finish_reason is not None:
            refusal = _refusal(meta.finish_reason)
            if refusal is not None:
                self._error(refusal)
            finished = self._finish_reason(meta.finish_reason)
        self._running.found(part.index or 0, meta.completion_tokens or 0, finished=finished)
        self.ended = self._running.all_finished

    def _without_meta(self, part: _SglangPart, payload: bytes | bytearray) -> None:
        if not part.error:
            error = flat_error(payload)
            self._stranger() if error is None else self._error(error)


class SglangBody(BodyReader[_SglangBody]):
    """One answer, or a list of them."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange, _decode_body)

    def _found(self, part: _SglangBody, payload: bytes | bytearray) -> None:
        metas = [answer.meta_info for answer in part.answers if answer.meta_info is not None]
        if not metas:
            self._without_meta(part, payload)
            return
        self.ended = True
        exchange = self.exchange
        exchange.completion_tokens = sum(meta.completion_tokens or 0 for meta in metas)
        exchange.prompt_tokens = max(meta.prompt_tokens or 0 for meta in metas)
        self._said = exchange.completion_tokens > 0
        for meta in metas:
            if meta.finish_reason is not None:
                refusal = _refusal(meta.finish_reason)
                if refusal is not None:
                    self._error(refusal)
                self._finish_reason(meta.finish_reason)

    def _without_meta(self, part: _SglangBody, payload: bytes | bytearray) -> None:
        error = None if part.error else flat_error(payload)
        if error is not None:
            self._error(error)
        elif any(answer.predictions is not None for answer in part.answers):
            self.ended = self._said = True


SGLANG_SHAPE: Final = Shape(
    keys=frozenset({"meta_info", "predictions"}),
    events=SglangStream,
    body=SglangBody,
)
SGLANG_GENERATE: Final = Dialect(
    name="sglang_generate",
    routes=("/generate", "/vertex_generate"),
    describe=describe_request,
    open=open_as(SGLANG_SHAPE, TGI_SHAPE, TEXT_OUTPUT_SHAPE),
)
