"""Every dialect that is read: one file each, one line here. What asks for tokens otherwise is listed beside them."""

from __future__ import annotations

from typing import Final

from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from watchtower.exchanges.dialects.audio import AUDIO
from watchtower.exchanges.dialects.llama_cpp import LLAMA_CPP
from watchtower.exchanges.dialects.ollama import OLLAMA
from watchtower.exchanges.dialects.openai_chat import OPENAI_CHAT
from watchtower.exchanges.dialects.openai_completions import OPENAI_COMPLETIONS
from watchtower.exchanges.dialects.openai_responses import OPENAI_RESPONSES
from watchtower.exchanges.dialects.pictures import PICTURES
from watchtower.exchanges.dialects.pooling import POOLING
from watchtower.exchanges.dialects.sagemaker import SAGEMAKER
from watchtower.exchanges.dialects.sglang_generate import SGLANG_GENERATE
from watchtower.exchanges.dialects.tgi import TGI
from watchtower.exchanges.dialects.vllm_generate import VLLM_GENERATE

DIALECTS: Final[tuple[Dialect, ...]] = (
    OPENAI_CHAT,
    OPENAI_COMPLETIONS,
    OPENAI_RESPONSES,
    ANTHROPIC_MESSAGES,
    SGLANG_GENERATE,
    VLLM_GENERATE,
    TGI,
    OLLAMA,
    SAGEMAKER,
    LLAMA_CPP,
    POOLING,
    AUDIO,
    PICTURES,
)

UNREAD_ROUTES: Final = frozenset({"/cohere/v2/chat"})
"""POSTs to these ask for work, and no dialect reads the answers: they are forwarded, guarded, held and drained."""

SESSION_ROUTES: Final = frozenset({"/openpi/policy", "/realtime", "/realtime_video/generate"})
"""A GET of these opens a WebSocket over which work is asked for; nobody reads it."""
