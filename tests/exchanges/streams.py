"""Answers in the shapes that engines send, and what is true of each."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from watchtower.exchanges.dialects.openai_chat import OPENAI_CHAT
from watchtower.exchanges.dialects.openai_completions import OPENAI_COMPLETIONS
from watchtower.exchanges.dialects.openai_responses import OPENAI_RESPONSES
from watchtower.vocabulary.facts import Ending


class Recorded(NamedTuple):
    name: str
    wire: bytes
    tokens: int
    estimated: bool
    ending: Ending
    completion_tokens: int = -1
    finish_reason: str = ""
    dialect: Dialect = OPENAI_CHAT


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def event(payload: dict[str, Any] | str, end: str = "\n\n") -> bytes:
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    return f"data: {text}{end}".encode()


def chat(delta: dict[str, Any], *, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    choice.update(more.pop("choice", {}))
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **more}


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = event("[DONE]")
USAGE = {"id": "chatcmpl-1", "model": "m", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 3}}

CHAT_ESTIMATED = Recorded(
    "chat, one chunk a token, usage at the end",
    STREAM_HEAD
    + chunked(
        event(chat({"role": "assistant", "content": ""})),
        event(chat({"content": "Zwölf"})),
        b": keep-alive\n\n",
        event(chat({"reasoning_content": "hm"})),
        event(chat({"tool_calls": [{"index": 0}]})),
        event(chat({}, finish="stop")),
        event(USAGE),
        DONE,
    ),
    tokens=3,
    estimated=True,
    ending=Ending.COMPLETE,
    completion_tokens=3,
    finish_reason="stop",
)
CHAT_TOKEN_IDS = Recorded(
    "chat with token_ids",
    STREAM_HEAD
    + chunked(
        event(chat({"role": "assistant", "content": ""}, choice={"token_ids": None}, prompt_token_ids=[1, 2])),
        event(chat({"content": "a b"}, choice={"token_ids": [11, 12]})),
        event(chat({"content": ""}, choice={"token_ids": [13]})),
        event(chat({"content": "d"}, finish="length", choice={"token_ids": [14, 15, 16]})),
        DONE,
    ),
    tokens=6,
    estimated=False,
    ending=Ending.COMPLETE,
    finish_reason="length",
)
CHAT_CONTINUOUS_USAGE = Recorded(
    "chat with continuous usage",
    STREAM_HEAD
    + chunked(
        event(chat({"role": "assistant", "content": ""}, usage={"prompt_tokens": 4, "completion_tokens": 0})),
        event(chat({"content": "a"}, usage={"prompt_tokens": 4, "completion_tokens": 2})),
        event(chat({"content": "b"}, usage={"prompt_tokens": 4, "completion_tokens": 7})),
        event(chat({}, finish="stop", usage={"prompt_tokens": 4, "completion_tokens": 8})),
        DONE,
    ),
    tokens=8,
    estimated=False,
    ending=Ending.COMPLETE,
    completion_tokens=8,
    finish_reason="stop",
)
USAGE_ON_LAST_CHUNK = Recorded(
    "usage only on the last chunk with text is a total, not progress; no [DONE]",
    STREAM_HEAD
    + chunked(
        event(chat({"content": "a"})),
        event(chat({"content": "b"})),
        event(chat({"content": "c"}, finish="stop", usage={"prompt_tokens": 4, "completion_tokens": 30})),
    ),
    tokens=3,
    estimated=True,
    ending=Ending.COMPLETE,
    completion_tokens=30,
    finish_reason="stop",
)
COMPLETIONS_WITH_SPACES = Recorded(
    "completions whose events end in space, LF, LF",
    STREAM_HEAD
    + chunked(
        *(
            event({"model": "m", "choices": [{"index": 0, "text": t, "finish_reason": None}]}, " \n\n")
            for t in ("x", "y", "z")
        ),
        event("[DONE]", " \n\n"),
    ),
    tokens=3,
    estimated=True,
    ending=Ending.COMPLETE,
    dialect=OPENAI_COMPLETIONS,
)
CRLF_EVENTS = Recorded(
    "events that end in CRLF, and one in CR",
    STREAM_HEAD
    + chunked(
        event(chat({"content": "a"}), "\r\n\r\n"), event(chat({"content": "b"}), "\r\r"), event("[DONE]", "\r\n\r\n")
    ),
    tokens=2,
    estimated=True,
    ending=Ending.COMPLETE,
)
TWO_LINES_A_PAYLOAD = Recorded(
    "events of two data lines that end in CRLF",
    STREAM_HEAD
    + chunked(
        *(
            b'data: {"model":"m","choices":[{"index":0,\r\ndata: "delta":{"content":"%b"}}]}\r\n\r\n' % text
            for text in (b"a", b"b", b"c")
        ),
        b"data: [DONE]\r\n\r\n",
    ),
    tokens=3,
    estimated=True,
    ending=Ending.COMPLETE,
)
ERROR_EVENT = Recorded(
    "an error inside a 200",
    STREAM_HEAD
    + chunked(
        event(chat({"content": "a"})),
        event({"error": {"message": "EngineCore died", "type": "InternalServerError", "code": 500}}),
        DONE,
    ),
    tokens=1,
    estimated=True,
    ending=Ending.ERROR,
)
NO_END = Recorded(
    "a stream whose framing ends without its last event",
    STREAM_HEAD + chunked(event(chat({"content": "a"})), event(chat({"content": "b"}))),
    tokens=2,
    estimated=True,
    ending=Ending.TRUNCATED,
)
MESSAGES = Recorded(
    "/v1/messages",
    STREAM_HEAD
    + chunked(
        b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n',
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"text":"a"}}\n\n',
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"text":"b"}}\n\n',
        b'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":2}}\n\n',
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    ),
    tokens=2,
    estimated=True,
    ending=Ending.COMPLETE,
    completion_tokens=2,
    dialect=ANTHROPIC_MESSAGES,
)
MESSAGES_FAILED = Recorded(
    "/v1/messages, with an error inside a 200",
    STREAM_HEAD
    + chunked(
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"text":"a"}}\n\n',
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"no"}}\n\n',
    ),
    tokens=1,
    estimated=True,
    ending=Ending.ERROR,
    dialect=ANTHROPIC_MESSAGES,
)
RESPONSES = Recorded(
    "/v1/responses",
    STREAM_HEAD
    + chunked(
        b'event: response.created\ndata: {"type":"response.created","response":{"model":"m"}}\n\n',
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a"}\n\n',
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"b"}\n\n',
        b'event: response.reasoning_text.delta\ndata: {"type":"response.reasoning_text.delta","delta":"c"}\n\n',
        b'event: response.completed\ndata: {"type":"response.completed","response":{"usage":{}}}\n\n',
    ),
    tokens=3,
    estimated=True,
    ending=Ending.COMPLETE,
    dialect=OPENAI_RESPONSES,
)
_BODY = json.dumps(
    {
        "model": "m",
        "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 9},
    }
).encode()
JSON_BODY = Recorded(
    "a body in one piece",
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_BODY) + _BODY,
    tokens=0,
    estimated=False,
    ending=Ending.COMPLETE,
    completion_tokens=9,
    finish_reason="stop",
)
HTTP_ERROR = Recorded(
    "a refusal",
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
    tokens=0,
    estimated=False,
    ending=Ending.REFUSED,
)
COMPRESSED = Recorded(
    "a compressed answer",
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc",
    tokens=0,
    estimated=False,
    ending=Ending.UNOBSERVED,
)

RECORDED = (
    CHAT_ESTIMATED,
    CHAT_TOKEN_IDS,
    CHAT_CONTINUOUS_USAGE,
    USAGE_ON_LAST_CHUNK,
    COMPLETIONS_WITH_SPACES,
    CRLF_EVENTS,
    TWO_LINES_A_PAYLOAD,
    ERROR_EVENT,
    NO_END,
    MESSAGES,
    MESSAGES_FAILED,
    RESPONSES,
    JSON_BODY,
    HTTP_ERROR,
    COMPRESSED,
)
