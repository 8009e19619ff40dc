"""Speech to text, and text to speech. A transcription may come as events with text in them, and then it has tokens."""

from __future__ import annotations

from typing import Final

from watchtower.exchanges.choices import CHOICES_SHAPE
from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.first_bytes import open_as
from watchtower.exchanges.openai_requests import describe_request
from watchtower.exchanges.typed_events import TYPED_SHAPE
from watchtower.exchanges.whole_answers import WholeAnswer

AUDIO: Final = Dialect(
    name="audio",
    routes=("/audio/transcriptions", "/audio/translations", "/audio/speech"),
    describe=describe_request,
    open=open_as(CHOICES_SHAPE, TYPED_SHAPE, otherwise=WholeAnswer),
    timed=False,
)
