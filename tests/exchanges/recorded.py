"""Answers that were recorded from engines (``recordings/``), and what is true of each."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.exchanges.streams import Recorded
from watchtower.exchanges.dialect import Routes
from watchtower.exchanges.dialects import DIALECTS
from watchtower.vocabulary.facts import Ending

FOLDER: Final = Path(__file__).parent / "recordings"
LLAMA_CPP: Final = "llama.cpp-b11549"
_ROUTES: Final = Routes(DIALECTS)


def recorded(
    engine: str,
    name: str,
    path: str,
    *,
    tokens: int = 0,
    estimated: bool = False,
    ending: Ending = Ending.COMPLETE,
    completion: int = -1,
    finish: str = "",
) -> Recorded:
    """``path``: where it was asked. ``tokens``: counted on the way; ``completion``: the engine's own total."""
    dialect = _ROUTES.dialect(path)
    assert dialect is not None
    wire = (FOLDER / engine / f"{name}.http").read_bytes()
    return Recorded(f"{engine} {name}", wire, tokens, estimated, ending, completion, finish, dialect)


RECORDED_FROM_ENGINES: Final = (
    recorded(LLAMA_CPP, "completion-stream", "/completion", tokens=8, completion=8, finish="limit"),
    recorded(LLAMA_CPP, "completion-body", "/completion", completion=8, finish="limit"),
    recorded(LLAMA_CPP, "completion-two-prompts", "/completion", tokens=8, completion=8, finish="limit"),
    recorded(LLAMA_CPP, "completion-list-body", "/completion", completion=8, finish="limit"),
    recorded(LLAMA_CPP, "completions-native-stream", "/completions", tokens=6, completion=6, finish="limit"),
    recorded(LLAMA_CPP, "infill-stream", "/infill", tokens=4, completion=4, finish="limit"),
    recorded(LLAMA_CPP, "no-tokens", "/completion", tokens=1, completion=1, finish="limit"),
    recorded(LLAMA_CPP, "too-long", "/completion", ending=Ending.REFUSED),
    recorded(
        LLAMA_CPP, "chat-stream-usage", "/v1/chat/completions", tokens=6, estimated=True, completion=6, finish="length"
    ),
    recorded(LLAMA_CPP, "chat-stream-timings", "/v1/chat/completions", tokens=6, completion=6, finish="length"),
    recorded(LLAMA_CPP, "chat-n2", "/v1/chat/completions", tokens=12, estimated=True, completion=6, finish="length"),
    recorded(LLAMA_CPP, "chat-body", "/v1/chat/completions", completion=6, finish="length"),
    recorded(
        LLAMA_CPP, "v1-completions-stream", "/v1/completions", tokens=6, estimated=True, completion=6, finish="length"
    ),
    recorded(LLAMA_CPP, "messages-stream", "/v1/messages", tokens=6, estimated=True, completion=6, finish="max_tokens"),
    recorded(LLAMA_CPP, "messages-body", "/v1/messages", completion=6, finish="max_tokens"),
    recorded(
        LLAMA_CPP, "responses-stream", "/v1/responses", tokens=6, estimated=True, completion=6, finish="completed"
    ),
    recorded(LLAMA_CPP, "responses-body", "/v1/responses", completion=6, finish="completed"),
)
