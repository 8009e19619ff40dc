"""Answers of engines that were not run here, in the shapes that their documents, sources and own tests show.

SGLang 0.5.23 (``tokenizer_manager``, ``entrypoints/ollama``), TGI 3.3 (``router/src``), Ollama's API document, Triton's
generate extension, DJL's LMI output formats, vLLM 0.32's transcriptions, OpenAI's transcript events.
The texts and the numbers are made up.
"""

from __future__ import annotations

import json
from typing import Any, Final

from tests.exchanges.streams import DONE, STREAM_HEAD, Recorded, chunked, event
from watchtower.exchanges.dialect import Dialect, Routes
from watchtower.exchanges.dialects import DIALECTS
from watchtower.vocabulary.facts import Ending

_ROUTES: Final = Routes(DIALECTS)


def of(path: str) -> Dialect:
    dialect = _ROUTES.dialect(path)
    assert dialect is not None
    return dialect


def head(content_type: str, more: str = "transfer-encoding: chunked") -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n{more}\r\n\r\n".encode()


def lines(*objects: dict[str, Any], content_type: str = "application/x-ndjson") -> bytes:
    return head(content_type) + chunked(*(json.dumps(each).encode() + b"\n" for each in objects))


def body(content: Any, content_type: str = "application/json") -> bytes:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return head(content_type, f"content-length: {len(text)}") + text


# ── SGLang ──────────────────────────────────────────────────────────────────────────────────────


def sglang(total: int, finish: Any = None, index: int | None = None) -> dict[str, Any]:
    meta = {
        "id": "9f",
        "finish_reason": finish,
        "prompt_tokens": 7,
        "weight_version": "default",
        "completion_tokens": total,
        "cached_tokens": 0,
        "dp_rank": None,
    }
    part: dict[str, Any] = {"text": "wo" * total, "output_ids": list(range(total)), "meta_info": meta}
    return part if index is None else {**part, "index": index}


_LENGTH: Final = {"type": "length", "length": 6}
_STOP: Final = {"type": "stop", "matched": 2}
SGLANG: Final = (
    Recorded(
        "SGLang streams totals, several tokens an event",
        STREAM_HEAD + chunked(*(event(sglang(n)) for n in (1, 3, 4)), event(sglang(6, _LENGTH)), DONE),
        tokens=6,
        estimated=False,
        ending=Ending.COMPLETE,
        completion_tokens=6,
        finish_reason="length",
        dialect=of("/generate"),
    ),
    Recorded(
        "SGLang streams two samples",
        STREAM_HEAD
        + chunked(
            *(event(sglang(n, index=i)) for n, i in ((1, 1), (1, 0), (3, 1), (2, 0))),
            event(sglang(4, _STOP, 1)),
            event(sglang(5, _LENGTH, 0)),
            DONE,
        ),
        tokens=9,
        estimated=False,
        ending=Ending.COMPLETE,
        completion_tokens=9,
        finish_reason="length",
        dialect=of("/generate"),
    ),
    Recorded(
        "SGLang gives up",
        STREAM_HEAD + chunked(event(sglang(2)), event(sglang(2, {"type": "abort", "message": "x"})), DONE),
        tokens=2,
        estimated=False,
        ending=Ending.FAILED,
        completion_tokens=2,
        finish_reason="abort",
        dialect=of("/generate"),
    ),
    Recorded(
        "SGLang refuses inside a stream",
        STREAM_HEAD
        + chunked(event({"error": {"message": "too long", "type": "invalid_request_error", "code": 400}}), DONE),
        tokens=0,
        estimated=False,
        ending=Ending.REFUSED,
        dialect=of("/generate"),
    ),
    Recorded(
        "SGLang is cut after one of two samples",
        STREAM_HEAD + chunked(event(sglang(3, _STOP, 1)), event(sglang(2, index=0))),
        tokens=5,
        estimated=False,
        ending=Ending.TRUNCATED,
        completion_tokens=3,
        finish_reason="stop",
        dialect=of("/generate"),
    ),
    Recorded(
        "SGLang in one piece",
        body(sglang(6, _LENGTH)),
        tokens=0,
        estimated=False,
        ending=Ending.COMPLETE,
        completion_tokens=6,
        finish_reason="length",
        dialect=of("/generate"),
    ),
    Recorded(
        "SGLang in one piece, a list",
        body([sglang(6, _STOP), sglang(3, _STOP)]),
        tokens=0,
        estimated=False,
        ending=Ending.COMPLETE,
        completion_tokens=9,
        finish_reason="stop",
        dialect=of("/generate"),
    ),
    Recorded(
        "SGLang for Vertex",
        body({"predictions": [sglang(6, _STOP)]}),
        tokens=0,
        estimated=False,
        ending=Ending.COMPLETE,
        dialect=of("/vertex_generate"),
    ),
)

# ── TGI ─────────────────────────────────────────────────────────────────────────────────────────


def tgi(text: str, index: int = 1, **more: Any) -> dict[str, Any]:
    token = {"id": 264, "text": text, "logprob": -1.2, "special": False}
    return {"index": index, "token": token, "generated_text": None, "details": None, **more}


_DETAILS: Final = {"finish_reason": "length", "generated_tokens": 3, "seed": None, "input_length": 4}
_TGI_EVENTS: Final = tuple(
    f"data:{json.dumps(part)}\n\n".encode()
    for part in (tgi("a"), tgi("b", 2), tgi("c", 3, generated_text="abc", details=_DETAILS))
)
TGI: Final = (
    Recorded(
        "TGI streams an event a token",
        STREAM_HEAD + chunked(*_TGI_EVENTS),
        tokens=3,
        estimated=False,
        ending=Ending.COMPLETE,
        completion_tokens=3,
        finish_reason="length",
        dialect=of("/generate_stream"),
    ),
    Recorded(
        "TGI streams on the route that SGLang has too",
        STREAM_HEAD + chunked(b":\n\n", *_TGI_EVENTS),
        tokens=3,
        estimated=False,
        ending=Ending.COMPLETE,
        completion_tokens=3,
        finish_reason="length",
        dialect=of("/generate"),
    ),
    Recorded(
        "TGI is overloaded in the middle",
        STREAM_HEAD + chunked(_TGI_EVENTS[0], b'data:{"error":"Model is overloaded","error_type":"overloaded"}\n\n'),
        tokens=1,
        estimated=False,
        ending=Ending.SHED,
        dialect=of("/generate_stream"),
    ),
    Recorded(
        "TGI fails in the middle",
        STREAM_HEAD + chunked(_TGI_EVENTS[0], b'data:{"error":"Request failed","error_type":"generation"}\n\n'),
        tokens=1,
        estimated=False,
        ending=Ending.ERROR,
        dialect=of("/generate_stream"),
    ),
    Recorded(
        "TGI in one piece",
        body({"generated_text": "abc", "details": _DETAILS}),
        tokens=0,
        estimated=False,
        ending=Ending.COMPLETE,
        completion_tokens=3,
        finish_reason="length",
        dialect=of("/generate"),
    ),
    Recorded(
        "TGI at its root, which wraps the answer",
        body([{"generated_text": "abc"}]),
        tokens=0,
        estimated=False,
        ending=Ending.COMPLETE,
        dialect=of("/"),
    ),
    Recorded(
        "DJL, an object a line",
        lines(
            {"token": {"id": 1, "text": "a", "log_prob": -0.1}},
            {
                "token": {"id": 2, "text": "b", "log_prob": -0.1},
                "generated_text": "ab",
                "details": {"finish_reason": "eos_token", "generated_tokens": 2},
            },
            content_type="application/jsonlines",
        ),
        tokens=2,
        estimated=False,
        ending=Ending.COMPLETE,
        completion_tokens=2,
        finish_reason="eos_token",
        dialect=of("/invocations"),
    ),
)

# ── Ollama ──────────────────────────────────────────────────────────────────────────────────────


def ollama(**more: Any) -> dict[str, Any]:
    return {"model": "llama3.2", "created_at": "2026-08-04T08:52:19.385406455-07:00", "done": False, **more}


def said(text: str, **more: Any) -> dict[str, Any]:
    return ollama(message={"role": "assistant", "content": text, **more})


_LAST: Final = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 4883583458,
    "load_duration": 1334875,
    "prompt_eval_count": 26,
    "prompt_eval_duration": 342546000,
    "eval_count": 4,
    "eval_duration": 4535599000,
}
OLLAMA: Final = (
    Recorded(
        "Ollama chats",
        lines(said("The"), said(" sky"), said("", thinking="hm"), {**said(""), **_LAST}),
        tokens=3,
        estimated=True,
        ending=Ending.COMPLETE,
        completion_tokens=4,
        finish_reason="stop",
        dialect=of("/api/chat"),
    ),
    Recorded(
        "Ollama generates",
        lines(ollama(response="The"), ollama(response=" sky"), ollama(response="", context=[1], **_LAST)),
        tokens=2,
        estimated=True,
        ending=Ending.COMPLETE,
        completion_tokens=4,
        finish_reason="stop",
        dialect=of("/api/generate"),
    ),
    Recorded(
        "Ollama in one piece",
        body({**said("The sky"), **_LAST}, "application/json; charset=utf-8"),
        tokens=0,
        estimated=False,
        ending=Ending.COMPLETE,
        completion_tokens=4,
        finish_reason="stop",
        dialect=of("/api/chat"),
    ),
    Recorded(
        "Ollama loads a model, which is no answer",
        body(ollama(response="", done=True, done_reason="load")),
        tokens=0,
        estimated=False,
        ending=Ending.EMPTY,
        finish_reason="load",
        dialect=of("/api/generate"),
    ),
    Recorded(
        "Ollama fails in the middle",
        lines(said("The"), {"error": "an error was encountered while running the model"}),
        tokens=1,
        estimated=True,
        ending=Ending.ERROR,
        dialect=of("/api/chat"),
    ),
    Recorded(
        "Ollama is cut",
        lines(said("The"), said(" sky")),
        tokens=2,
        estimated=True,
        ending=Ending.TRUNCATED,
        dialect=of("/api/chat"),
    ),
    Recorded(
        "SGLang in Ollama's words counts nothing while it streams",
        lines(said("The"), {**said(""), "done": True, "done_reason": "stop", "eval_count": None}),
        tokens=1,
        estimated=True,
        ending=Ending.COMPLETE,
        finish_reason="stop",
        dialect=of("/api/chat"),
    ),
)

# ── others ──────────────────────────────────────────────────────────────────────────────────────


def choice(delta: Any = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    part = {"index": 0, "finish_reason": finish, **more}
    return {"model": "m", "choices": [part if delta is None else {**part, "delta": delta}]}


_CHUNKS: Final = (*(event(choice({"content": text})) for text in ("a", "b", "c")), event(choice({}, "stop")), DONE)
OTHERS: Final = (
    Recorded(
        "vLLM, tokens in and tokens out",
        STREAM_HEAD
        + chunked(
            event({"request_id": "r", **choice(token_ids=[5, 6])}),
            event({"request_id": "r", **choice(token_ids=[7], finish="length")}),
            event({"request_id": "r", "choices": [], "usage": {"prompt_tokens": 2, "completion_tokens": 3}}),
            DONE,
        ),
        tokens=3,
        estimated=False,
        ending=Ending.COMPLETE,
        completion_tokens=3,
        finish_reason="length",
        dialect=of("/inference/v1/generate"),
    ),
    Recorded(
        "vLLM, tokens in and tokens out in one piece, without usage",
        body({"request_id": "r", "choices": [{"index": 0, "finish_reason": "stop", "token_ids": [5]}]}),
        tokens=0,
        estimated=False,
        ending=Ending.COMPLETE,
        finish_reason="stop",
        dialect=of("/inference/v1/generate"),
    ),
    Recorded(
        "SageMaker asks for a chat",
        STREAM_HEAD + chunked(*_CHUNKS),
        tokens=3,
        estimated=True,
        ending=Ending.COMPLETE,
        finish_reason="stop",
        dialect=of("/invocations"),
    ),
    Recorded(
        "SageMaker asks for vectors",
        body({"object": "list", "model": "m", "data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 4}}),
        tokens=0,
        estimated=False,
        ending=Ending.COMPLETE,
        dialect=of("/invocations"),
    ),
    Recorded(
        "Triton streams text",
        STREAM_HEAD + chunked(*(event({"model_name": "m", "text_output": text}) for text in ("a", "b"))),
        tokens=2,
        estimated=True,
        ending=Ending.COMPLETE,
        dialect=of("/v2/models/m/generate_stream"),
    ),
    Recorded(
        "Triton in one piece",
        body({"model_name": "m", "model_version": "1", "text_output": "ab"}),
        tokens=0,
        estimated=False,
        ending=Ending.COMPLETE,
        dialect=of("/v2/models/m/generate"),
    ),
    Recorded(
        "vLLM transcribes in a stream",
        STREAM_HEAD + chunked(*_CHUNKS),
        tokens=3,
        estimated=True,
        ending=Ending.COMPLETE,
        finish_reason="stop",
        dialect=of("/v1/audio/transcriptions"),
    ),
    Recorded(
        "OpenAI transcribes in a stream",
        STREAM_HEAD
        + chunked(
            event({"type": "transcript.text.delta", "delta": "a"}),
            event({"type": "transcript.text.done", "text": "a", "usage": {"input_tokens": 5, "output_tokens": 1}}),
        ),
        tokens=1,
        estimated=True,
        ending=Ending.COMPLETE,
        completion_tokens=1,
        dialect=of("/v1/audio/transcriptions"),
    ),
    Recorded(
        "a transcription in one piece",
        body({"text": "a b c"}),
        tokens=0,
        estimated=False,
        ending=Ending.COMPLETE,
        dialect=of("/v1/audio/transcriptions"),
    ),
    Recorded(
        "a transcription that is plain text",
        body(b"1\n00:00 --> 00:01\nhi\n", "text/plain"),
        tokens=0,
        estimated=False,
        ending=Ending.COMPLETE,
        dialect=of("/v1/audio/transcriptions"),
    ),
    Recorded(
        "speech",
        body(b"ID3\x00\x01\xff" * 20_000, "audio/mpeg"),
        tokens=0,
        estimated=False,
        ending=Ending.COMPLETE,
        dialect=of("/v1/audio/speech"),
    ),
    Recorded(
        "vectors",
        body({"object": "list", "data": [{"embedding": [0.1]}], "model": "m", "usage": {"prompt_tokens": 4}}),
        tokens=0,
        estimated=False,
        ending=Ending.COMPLETE,
        dialect=of("/v1/embeddings"),
    ),
    Recorded(
        "an error in place of vectors",
        body({"object": "error", "message": "no", "type": "InternalServerError", "code": 500}),
        tokens=0,
        estimated=False,
        ending=Ending.ERROR,
        dialect=of("/v1/rerank"),
    ),
    Recorded(
        "vectors that were cut",
        body(b'{"object": "list", "data": [{"embed'),
        tokens=0,
        estimated=False,
        ending=Ending.TRUNCATED,
        dialect=of("/v1/embeddings"),
    ),
    Recorded(
        "a picture",
        body({"created": 1, "data": [{"b64_json": "A" * 100_000}]}),
        tokens=0,
        estimated=False,
        ending=Ending.COMPLETE,
        dialect=of("/v1/images/generations"),
    ),
)

# ── labels that lie ─────────────────────────────────────────────────────────────────────────────

_WHOLE: Final = {**choice(message={"content": "hi"}, finish="stop"), "usage": {"completion_tokens": 9}}
MISLABELLED: Final = (
    *(
        Recorded(
            f"a stream that is called {label or 'nothing'}",
            head(label) + chunked(*_CHUNKS),
            tokens=3,
            estimated=True,
            ending=Ending.COMPLETE,
            finish_reason="stop",
        )
        for label in ("application/json", "", "text/plain", "application/octet-stream")
    ),
    *(
        Recorded(
            f"a body that is called {label or 'nothing'}",
            body(_WHOLE, label),
            tokens=0,
            estimated=False,
            ending=Ending.COMPLETE,
            completion_tokens=9,
            finish_reason="stop",
        )
        for label in ("text/event-stream", "", "text/plain", "application/x-ndjson")
    ),
    Recorded(
        "a stream that begins with a BOM, blank lines and a comment",
        head("text/html") + chunked(b"\xef\xbb", b"\xbf\n\n: hello\n\n", *_CHUNKS),
        tokens=3,
        estimated=True,
        ending=Ending.COMPLETE,
        finish_reason="stop",
    ),
    Recorded(
        "an engine's line that is called an event stream",
        lines(said("The"), {**said(""), **_LAST}, content_type="text/event-stream"),
        tokens=1,
        estimated=True,
        ending=Ending.COMPLETE,
        completion_tokens=4,
        finish_reason="stop",
        dialect=of("/api/chat"),
    ),
    Recorded(
        "a page of a gateway",
        body(b"<html>busy</html>", "text/html"),
        tokens=0,
        estimated=False,
        ending=Ending.TRUNCATED,
    ),
    Recorded(
        "compressed, and not said so",
        body(b"\x1f\x8b\x08\x00abc", "text/event-stream"),
        tokens=0,
        estimated=False,
        ending=Ending.UNOBSERVED,
    ),
)

FROM_DOCUMENTS: Final = (*SGLANG, *TGI, *OLLAMA, *OTHERS, *MISLABELLED)
