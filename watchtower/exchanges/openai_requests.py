"""What a request says in OpenAI's shapes: the model, whether it streams, and what it asks."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from watchtower.exchanges.exchange import Exchange
from watchtower.vocabulary.errors import UNREADABLE

_NEUTRAL: Final = frozenset(
    {"model", "messages", "prompt", "temperature", "max_tokens", "max_completion_tokens", "stream", "stream_options"}
    | {"user", "seed", "top_p", "n", "metadata", "priority", "cache_salt", "return_token_ids", "store"}
)
"""What may stand in a greedy request without changing its answer (its length apart)."""


class _Described(msgspec.Struct, gc=False):
    model: str = ""
    stream: bool | None = False


class _AskedMessage(msgspec.Struct, gc=False):
    role: str = ""
    content: Any = None


class _AskedFields(msgspec.Struct, gc=False):
    messages: list[_AskedMessage] | None = None
    prompt: Any = None
    temperature: float | None = None
    n: int | None = None


class _Conversation(msgspec.Struct, gc=False):
    messages: msgspec.Raw = msgspec.Raw(b"")
    prompt: msgspec.Raw = msgspec.Raw(b"")


_decode_described = msgspec.json.Decoder(_Described).decode
_decode_asked = msgspec.json.Decoder(_AskedFields).decode
_decode_conversation = msgspec.json.Decoder(_Conversation).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def describe_request(exchange: Exchange, body: bytes) -> None:
    """Name the model and whether a stream was asked for, if ``body`` tells."""
    try:
        request = _decode_described(body)
    except UNREADABLE:
        return
    exchange.describe(model=request.model[:256], stream=bool(request.stream))


class AskedOfOpenAI:
    """``exchanges.dialect.Asked`` for ``messages`` or a ``prompt``."""

    def __init__(self, body: bytes) -> None:
        """Raises UNREADABLE."""
        fields = _decode_asked(body)
        messages = fields.messages
        self._body = body
        self.question = _last_said(fields)
        self.plain = messages is None
        self.alone = messages is None or (len(messages) == 1 and messages[0].role == "user")
        self.greedy = fields.temperature == 0 and fields.n in (None, 1)

    def conversation(self) -> bytes:
        """Raises UNREADABLE."""
        conversation = _decode_conversation(self._body)
        return bytes(conversation.messages) or bytes(conversation.prompt)

    def nothing_beside(self) -> bool:
        """Raises UNREADABLE."""
        return _NEUTRAL.issuperset(_decode_fields(self._body))


def _last_said(fields: _AskedFields) -> str:
    if not fields.messages:
        return fields.prompt if isinstance(fields.prompt, str) else ""
    content = fields.messages[-1].content
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(part for part in parts if isinstance(part, str))
