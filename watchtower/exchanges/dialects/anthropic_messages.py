"""Anthropic's messages: events with a type, without a count of tokens until the end."""

from __future__ import annotations

from typing import Final

from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.openai_requests import describe_request
from watchtower.exchanges.typed_events import open_typed

ANTHROPIC_MESSAGES: Final = Dialect(
    name="anthropic_messages",
    routes=("/v1/messages",),
    describe=describe_request,
    open=open_typed,
)
