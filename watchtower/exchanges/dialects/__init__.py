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
        "/generate",
        "/generate_stream",
        "/inference/v1/generate",
        "/api/chat",
        "/api/generate",
    }
)
"""POSTs to these ask for tokens, and no dialect reads the answers: they are forwarded, guarded and held."""
