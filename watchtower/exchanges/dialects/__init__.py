"""Every dialect that is read: one file each, one line here. What asks for tokens otherwise is listed beside them."""

from __future__ import annotations

from typing import Final

from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from watchtower.exchanges.dialects.openai_chat import OPENAI_CHAT
from watchtower.exchanges.dialects.openai_completions import OPENAI_COMPLETIONS
from watchtower.exchanges.dialects.openai_responses import OPENAI_RESPONSES

DIALECTS: Final[tuple[Dialect, ...]] = (
    OPENAI_CHAT,
    OPENAI_COMPLETIONS,
    OPENAI_RESPONSES,
    ANTHROPIC_MESSAGES,
)

UNREAD_ROUTES: Final = frozenset(
    {
        *("/api/chat", "/api/generate", "/cohere/v2/chat", "/completion", "/generate", "/generate_stream", "/infill"),
        *("/inference/v1/generate", "/invocations", "/vertex", "/vertex_generate", "/"),
        *("/classify", "/decisions", "/embed", "/embedding", "/embeddings", "/encode", "/generative_scoring"),
        *("/infer", "/pooling", "/rerank", "/reranking", "/score", "/systemone"),
        *("/audio/speech", "/audio/transcriptions", "/audio/translations"),
        *(
            "/actions/generations",
            "/images/edits",
            "/images/generations",
            "/images/variations",
            "/meshes",
            "/rollout/generate",
        ),
        *("/videos", "/videos/generations"),
    }
)
"""POSTs to these ask for work, and no dialect reads the answers: they are forwarded, guarded, held and drained."""

SESSION_ROUTES: Final = frozenset({"/openpi/policy", "/realtime", "/realtime_video/generate"})
"""A GET of these opens a WebSocket over which work is asked for; nobody reads it."""
