"""OpenAI's responses: events with a type, without a count of tokens until the end."""

from __future__ import annotations

from typing import Final

from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.openai_requests import describe_request
from watchtower.exchanges.typed_events import open_typed

OPENAI_RESPONSES: Final = Dialect(
    name="openai_responses",
    routes=("/responses",),
    describe=describe_request,
    open=open_typed,
)
