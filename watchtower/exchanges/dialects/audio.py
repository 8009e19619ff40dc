"""Speech to text, and text to speech. A transcription may come as events with text in them, and then it has tokens."""

from __future__ import annotations

from typing import Final

from watchtower.exchanges.choices import CHOICES_SHAPE
from watchtower.exchanges.dialect import Dialect, Reader
from watchtower.exchanges.exchange import Exchange
from watchtower.exchanges.first_bytes import open_as
from watchtower.exchanges.openai_requests import describe_request
from watchtower.exchanges.typed_events import TYPED_SHAPE
from watchtower.exchanges.whole_answers import WholeAnswer


def _whole(exchange: Exchange, content_type: str) -> Reader:
    """A transcription may be plain text, and begin with a bracket: ``[Music]``."""
    return WholeAnswer(exchange, is_json=content_type == "application/json")


AUDIO: Final = Dialect(
    name="audio",
    routes=("/audio/transcriptions", "/audio/translations", "/audio/speech"),
    describe=describe_request,
    open=open_as(CHOICES_SHAPE, TYPED_SHAPE, otherwise=_whole),
    timed=False,
)
