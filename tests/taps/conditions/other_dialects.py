"""Routes and forms beside chat and completions, and answers that are not what their head says."""

from __future__ import annotations

import json
from typing import Any

from tests.taps.conditions.script import (
    ASKED,
    DONE,
    END,
    FIVE,
    SSE,
    STOP,
    Condition,
    Do,
    Right,
    Script,
    chunk,
    condition,
    request,
    total,
    usage,
    words,
)
from watchtower.vocabulary.facts import Ending


def typed_as(kind: str, *steps: Any) -> Script:
    """An answer in chunks under this content type; "" for none."""
    line = f"content-type: {kind}\r\n" if kind else ""
    head = f"HTTP/1.1 200 OK\r\n{line}transfer-encoding: chunked\r\n\r\n".encode()
    return (*ASKED, head, *(step for part in steps for step in (part if isinstance(part, tuple) else (part,))))


def line(**content: object) -> bytes:
    return chunk(json.dumps(content).encode() + b"\n")


WHOLE = {"model": "m", "choices": [{"message": {"content": "w"}, "finish_reason": "stop"}], "usage": usage(1)}
ASKS = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}

FORMS_AND_ROUTES = (
    condition(
        "whisper-says-music",
        "what Whisper writes where nobody speaks",
        Right(ending=Ending.COMPLETE),
        typed_as("text/plain", chunk(b"[Music] and then"), END),
        (request("whisper-says-music", "/v1/audio/transcriptions", {"model": "w"}), Do.AWAIT_QUIET),
    ),
    condition(
        "a-page-for-vectors",
        "a gateway's page where vectors should be",
        Right(ending=Ending.TRUNCATED),
        typed_as("text/html", chunk(b"<html>log in</html>"), END),
        (request("a-page-for-vectors", "/v1/embeddings", {"model": "w"}), Do.AWAIT_QUIET),
    ),
    condition(
        "a-redirect",
        "FastAPI at a trailing slash",
        Right(ending=Ending.REFUSED, status=307),
        (*ASKED, b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /v1/chat/completions\r\ncontent-length: 0\r\n\r\n"),
    ),
    condition(
        "sse-as-json",
        "microsoft/foundry-dev-tools#195",
        Right(ending=Ending.COMPLETE, tokens=5),
        typed_as("application/json", words(5, 0.02), STOP, DONE, END),
    ),
    condition(
        "sse-without-a-type",
        "a server that names no type",
        Right(ending=Ending.COMPLETE, tokens=5),
        typed_as("", words(5, 0.02), STOP, DONE, END),
    ),
    condition(
        "json-as-sse",
        "the other way round",
        Right(ending=Ending.COMPLETE, total=1),
        typed_as("text/event-stream", chunk(json.dumps(WHOLE).encode()), END),
    ),
    condition(
        "sagemaker-invocations",
        "vllm-project/vllm#28163, #11557",
        Right(ending=Ending.COMPLETE, tokens=5),
        FIVE,
        (request("sagemaker-invocations", "/invocations", ASKS), Do.AWAIT_ANSWER),
    ),
    Condition(
        name="sagemaker-under-a-hold",
        reported="the same, while a cure is under way",
        right=(),
        engine=(FIVE,),
        client=(Do.HOLD, request("sagemaker-under-a-hold", "/invocations", ASKS), Do.AWAIT_END),
        counted=("parked",),
        client_got=b"HTTP/1.1 503 ",
        mirrored=False,
        at_the_engine=0,
        alone=True,
    ),
    Condition(
        name="transcription-under-a-hold",
        reported="vllm-project/vllm /v1/audio/transcriptions; vllm#33187",
        right=(),
        engine=(FIVE,),
        client=(
            Do.HOLD,
            request("transcription-under-a-hold", "/v1/audio/transcriptions", {"model": "w", "file": "..."}),
            Do.AWAIT_END,
        ),
        counted=("parked",),
        client_got=b"HTTP/1.1 503 ",
        mirrored=False,
        at_the_engine=0,
        alone=True,
    ),
    condition(
        "ollama-ndjson",
        "ollama/ollama#8991 (application/x-ndjson)",
        Right(ending=Ending.COMPLETE, tokens=10, total=10, prompt=4, pace=0.05),
        typed_as(
            "application/x-ndjson",
            *((0.05, line(model="m", message={"role": "assistant", "content": "w"}, done=False)) * 10),
            line(model="m", done=True, done_reason="stop", eval_count=10, prompt_eval_count=4),
            END,
        ),
        (request("ollama-ndjson", "/api/chat", {"model": "m", "messages": []}), Do.AWAIT_ANSWER),
    ),
    condition(
        "ollama-cut",
        "the same, without its last line",
        Right(ending=Ending.TRUNCATED, tokens=3),
        typed_as(
            "application/x-ndjson", *((0.05, line(model="m", message={"content": "w"}, done=False)) * 3), Do.CLOSE
        ),
        (request("ollama-cut", "/api/chat", {"model": "m", "messages": []}), Do.AWAIT_ANSWER),
    ),
    condition(
        "ollama-error",
        "an error line inside a 200",
        Right(ending=Ending.ERROR),
        typed_as("application/x-ndjson", line(error="llama runner process has terminated"), END),
        (request("ollama-error", "/api/generate", {"model": "m", "prompt": "hi"}), Do.AWAIT_ANSWER),
    ),
    condition(
        "include-usage-under-a-prefix",
        "ray-project/ray#59407, with two parts before the route",
        Right(ending=Ending.COMPLETE, tokens=5, total=5),
        (*ASKED, SSE, *words(5, 0.02), STOP, total(5), DONE, END),
        (request("include-usage-under-a-prefix", "/serve/llm/v1/chat/completions"), Do.AWAIT_ANSWER),
    ),
)
