"""OpenAI's chat: a conversation is answered with choices."""

from __future__ import annotations

from typing import Final

from watchtower.exchanges.choices import open_choices
from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.openai_requests import AskedOfOpenAI, describe_request

OPENAI_CHAT: Final = Dialect(
    name="openai_chat",
    routes=("/chat/completions", "/chat/completions/batch"),
    describe=describe_request,
    open=open_choices,
    asked=AskedOfOpenAI,
)
