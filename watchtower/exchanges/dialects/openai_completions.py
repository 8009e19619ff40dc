"""OpenAI's completions: a text is gone on with, in choices."""

from __future__ import annotations

from typing import Final

from watchtower.exchanges.choices import open_choices
from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.openai_requests import AskedOfOpenAI, describe_request

OPENAI_COMPLETIONS: Final = Dialect(
    name="openai_completions",
    routes=("/completions",),
    describe=describe_request,
    open=open_choices,
    asked=AskedOfOpenAI,
)
