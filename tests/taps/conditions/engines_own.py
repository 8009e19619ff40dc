"""Engines in their own words, and work that has no tokens."""

from __future__ import annotations

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
    event,
    request,
    stream,
    words,
)
from watchtower.vocabulary.facts import Ending


def labelled(content_type: str, *steps: Any) -> Script:
    """A whole answer under that label; "": without one."""
    label = f"content-type: {content_type}\r\n" if content_type else ""
    head = f"HTTP/1.1 200 OK\r\n{label}transfer-encoding: chunked\r\n\r\n".encode()
    return tuple(head if step is SSE else step for step in stream(*steps, END))


def asks(name: str, path: str) -> Script:
    return (request(name, path), Do.AWAIT_ANSWER)


def sglang(tokens: int, finish: str | None = None) -> bytes:
    reason = finish and {"type": finish}
    return event({"text": "w", "meta_info": {"completion_tokens": tokens, "prompt_tokens": 3, "finish_reason": reason}})


def llama(tokens: int, **more: Any) -> bytes:
    return event({"index": 0, "content": "w", "stop": False, "tokens_predicted": tokens, "tokens_evaluated": 3, **more})


def tgi(**more: Any) -> bytes:
    return event({"index": 1, "token": {"id": 5, "text": "w", "logprob": -1.0, "special": False}, **more})


def paced(*pieces: bytes) -> Script:
    return tuple(step for piece in pieces for step in (0.05, piece))


def held(name: str, path: str) -> Condition:
    return Condition(
        name=name,
        reported="a warm restart cut what it could not read",
        right=(),
        engine=(FIVE,),
        client=(Do.HOLD, request(name, path), Do.AWAIT_END),
        counted=("parked",),
        alone=True,
        client_got=b"HTTP/1.1 503 ",
        mirrored=False,
        at_the_engine=0,
    )


ENGINES_OWN = (
    condition(
        "page-of-a-gateway",
        "a 200 that no engine wrote",
        Right(ending=Ending.TRUNCATED, status=200),
        labelled("text/html", chunk(b"<html>please wait</html>")),
    ),
    condition(
        "sglang-generate",
        "totals that grow, three tokens an event",
        Right(ending=Ending.COMPLETE, tokens=12, pace=0.05 / 3, total=12, prompt=3, finish="length"),
        stream(paced(sglang(3), sglang(6), sglang(9), sglang(12, "length")), DONE, END),
        asks("sglang-generate", "/generate"),
    ),
    condition(
        "tgi-on-the-same-route",
        "an event a token",
        Right(ending=Ending.COMPLETE, tokens=4, pace=0.05, total=4, finish="eos_token"),
        stream(
            paced(
                *(tgi() for _ in range(3)),
                tgi(generated_text="wwww", details={"finish_reason": "eos_token", "generated_tokens": 4}),
            ),
            END,
        ),
        asks("tgi-on-the-same-route", "/generate"),
    ),
    condition(
        "llama-cpp-completion",
        "totals that grow, two tokens an event (a draft model)",
        Right(ending=Ending.COMPLETE, tokens=6, pace=0.025, total=6, prompt=3, finish="eos"),
        stream(paced(llama(2), llama(4), llama(6)), llama(6, stop=True, stop_type="eos"), END),
        asks("llama-cpp-completion", "/completion"),
    ),
    condition(
        "vllm-generate",
        "tokens in, tokens out",
        Right(ending=Ending.COMPLETE, tokens=6, pace=0.025, finish="stop"),
        stream(
            paced(*(event({"choices": [{"index": 0, "token_ids": [1, 2]}]}) for _ in range(3))),
            event({"choices": [{"index": 0, "token_ids": [], "finish_reason": "stop"}]}),
            DONE,
            END,
        ),
        asks("vllm-generate", "/inference/v1/generate"),
    ),
    condition(
        "embeddings",
        "work without tokens",
        Right(ending=Ending.COMPLETE, tokens=0, prompt=5, status=200, model="m"),
        labelled(
            "application/json",
            0.3,
            chunk(b'{"object": "list", "model": "m", "data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 5}}'),
        ),
        asks("embeddings", "/v1/embeddings"),
    ),
    condition(
        "embeddings-500",
        "work without tokens that fails",
        Right(ending=Ending.ERROR, status=500),
        (*ASKED, b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\n{}"),
        asks("embeddings-500", "/v1/rerank"),
    ),
    condition(
        "transcription-in-a-stream",
        "vllm-project/vllm /v1/audio/transcriptions",
        Right(ending=Ending.COMPLETE, tokens=5, finish="stop"),
        stream(words(5, 0.02), STOP, DONE, END),
        asks("transcription-in-a-stream", "/v1/audio/transcriptions"),
    ),
    held("embeddings-under-a-hold", "/llm/v1/embeddings"),
    held("unread-under-a-hold", "/cohere/v2/chat"),
)
