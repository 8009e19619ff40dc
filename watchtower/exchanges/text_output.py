"""Answers with a ``text_output`` or a bare ``text``: Triton's generate extension, and vLLM's old demonstration server.

Neither counts tokens and neither says that it has ended: an object with text is one estimated token, and the end of
the framing is the end.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from watchtower.exchanges.answer_reading import AnswerPart, EventStreamReader, PartsReader
from watchtower.exchanges.exchange import Exchange
from watchtower.exchanges.first_bytes import Shape
from watchtower.exchanges.json_lines import JsonLinesReader


class _TextPart(AnswerPart, gc=False):
    model_name: str | None = None
    text_output: Any = None
    text: Any = None


_decode_part = msgspec.json.Decoder(_TextPart).decode


class _TextAnswer(PartsReader[_TextPart]):
    """What events and lines share."""

    _says = False

    def finish(self) -> None:
        super().finish()
        self.ended = self._readable

    def _is_ours(self, part: _TextPart) -> bool:
        if part.text_output is None and part.text is None:
            return False
        if part.model_name:
            self._describe(part.model_name)
        if part.text_output or part.text:
            self._says = True
            if self.exchange.stream:
                self.exchange.estimated = True
                self.exchange.fresh += 1
        return True

    def _is_empty(self) -> bool:
        return not self._says


class TextEvents(_TextAnswer, EventStreamReader[_TextPart]):
    """An event for every piece of text."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange, _decode_part)


class TextLines(_TextAnswer, JsonLinesReader[_TextPart]):
    """A line for every piece of text where a stream was asked for; otherwise one that has all of it."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange, _decode_part)


TEXT_OUTPUT_SHAPE: Final = Shape(
    keys=frozenset({"text_output", "text"}),
    events=TextEvents,
    body=TextLines,
    lines=TextLines,
)
