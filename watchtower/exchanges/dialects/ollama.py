"""Ollama's own routes: an object a line, and the engine's counts in the last one, which may be the only one.

It tells no count on the way, so a line with text is one estimated token. Tool calls are held back until they are whole.
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


class _OllamaMessage(msgspec.Struct, gc=False):
    content: Any = None
    thinking: Any = None
    tool_calls: Any = None


class _OllamaPart(AnswerPart, gc=False):
    message: _OllamaMessage | None = None
    response: Any = None
    thinking: Any = None
    done: bool | None = None
    done_reason: Any = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None


_decode_part = msgspec.json.Decoder(_OllamaPart).decode


class _OllamaAnswer(PartsReader[_OllamaPart]):
    """What lines and events share."""

    _streams = False
    _says = False

    def _is_ours(self, part: _OllamaPart) -> bool:
        """Write down what ``part`` says of its answer. False: nothing, it is something else."""
        message, exchange = part.message, self.exchange
        text = part.response if message is None else message.content
        if part.done is None and text is None:
            return False
        if not part.done and not self._streams:
            self._streams = True
            exchange.describe(stream=True)
        calls = message is not None and bool(message.tool_calls)
        if text or calls or part.thinking or (message is not None and message.thinking):
            self._says = True
            if self._streams:
                exchange.estimated = True
                exchange.fresh += 1
                if calls and not text:
                    exchange.uneven.unsized()
        if exchange.sample is not None:
            exchange.sample.add(text)
        if part.done:
            self._last(part)
        return True

    def _last(self, part: _OllamaPart) -> None:
        self.ended = True
        if part.eval_count is not None:
            self.exchange.completion_tokens = part.eval_count
        if part.prompt_eval_count is not None:
            self.exchange.prompt_tokens = part.prompt_eval_count
        if part.done_reason:
            self._finish_reason(part.done_reason)

    def _is_empty(self) -> bool:
        return not self._says


class OllamaLines(_OllamaAnswer, JsonLinesReader[_OllamaPart]):
    """An object a line."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange, _decode_part)


class OllamaEvents(_OllamaAnswer, EventStreamReader[_OllamaPart]):
    """The same objects as events: how some proxies pass them on."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange, _decode_part)


OLLAMA_SHAPE: Final = Shape(
    keys=frozenset({"done"}),
    events=OllamaEvents,
    body=OllamaLines,
    lines=OllamaLines,
)
OLLAMA: Final = Dialect(
    name="ollama",
    routes=("/api/chat", "/api/generate"),
    describe=describe_request,
    open=open_as(OLLAMA_SHAPE),
)
