"""vLLM's tokens in, tokens out: choices without a message, with the ids of their tokens."""

from __future__ import annotations

from typing import Final

from watchtower.exchanges.choices import open_choices
from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.openai_requests import describe_request

VLLM_GENERATE: Final = Dialect(
    name="vllm_generate",
    routes=("/inference/v1/generate",),
    describe=describe_request,
    open=open_choices,
)
