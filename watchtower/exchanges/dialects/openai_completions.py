"""OpenAI's completions: a text is gone on with, in choices. Without its ``/v1`` the route is llama.cpp's own."""

from __future__ import annotations

from typing import Final

from watchtower.exchanges.choices import CHOICES_SHAPE
from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.dialects.llama_cpp import LLAMA_CPP_SHAPE
from watchtower.exchanges.first_bytes import open_as
from watchtower.exchanges.openai_requests import AskedOfOpenAI, describe_request

OPENAI_COMPLETIONS: Final = Dialect(
    name="openai_completions",
    routes=("/completions",),
    describe=describe_request,
    open=open_as(CHOICES_SHAPE, LLAMA_CPP_SHAPE),
    asked=AskedOfOpenAI,
)
