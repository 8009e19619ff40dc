"""How the bench's engine writes a stream in each dialect: events of the size and shape that engines write.

Where a token's text goes there is a stamp, ``<nanoseconds>.<number>``: whoever reads it knows how long it was under way
and whether one is missing. A shape is named as the dialect that reads it.
"""

from __future__ import annotations

from typing import Final

import msgspec

_SSE: Final = b"text/event-stream; charset=utf-8"


class StreamShape(msgspec.Struct, frozen=True, kw_only=True):
    dialect: str
    path: str
    token: bytes
    """Format of an event: ``ns``, ``n`` (from 1) and ``total`` (prompt and answer)."""
    last: tuple[bytes, ...]
    """Formats of the events after the last token; the end of the last one is the end marker."""
    first: tuple[bytes, ...] = ()
    content_type: bytes = _SSE
    end: bytes = b"\n\n"
    """Of an event."""

    @property
    def head(self) -> bytes:
        kind = b"HTTP/1.1 200 OK\r\nContent-Type: " + self.content_type
        return kind + b"\r\nCache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"


def _typed(kind: bytes, rest: bytes) -> bytes:
    return b"event: " + kind + b'\ndata: {"type":"' + kind + b'",' + rest + b"}\n\n"


_CHAT: Final = (
    b'data: {"id":"chatcmpl-8f0a6c1b2d3e4f5a8f0a6c1b2d3e4f5a","object":"chat.completion.chunk","created":1767225600,'
    b'"model":"bench","choices":[{"index":0,"delta":'
)
_TEXT: Final = (
    b'data: {"id":"cmpl-8f0a6c1b2d3e4f5a8f0a6c1b2d3e4f5a","object":"text_completion","created":1767225600,'
    b'"model":"bench","choices":[{"index":0,"text":'
)
_USAGE: Final = b'"usage":{"prompt_tokens":24,"total_tokens":%(total)d,"completion_tokens":%(n)d}}\n\n'
_OLLAMA: Final = (
    b'{"model":"bench","created_at":"2026-01-01T00:00:00.000000000Z","message":{"role":"assistant","content":'
)
_ITEM: Final = b'"item_id":"msg_8f0a6c1b2d3e4f5a","output_index":0,"content_index":0,'
_DONE: Final = b"data: [DONE]\n\n"

SHAPES: Final = {
    shape.dialect: shape
    for shape in (
        StreamShape(
            dialect="openai_chat",
            path="/v1/chat/completions",
            token=_CHAT
            + b'{"content":"%(ns)d.%(n)d"},"logprobs":null,"finish_reason":null,"token_ids":null}],'
            + _USAGE,
            last=(_CHAT + b'{},"logprobs":null,"finish_reason":"length"}]}\n\n', _DONE),
        ),
        StreamShape(
            dialect="openai_completions",
            path="/v1/completions",
            token=_TEXT + b'"%(ns)d.%(n)d","logprobs":null,"finish_reason":null,"stop_reason":null}],' + _USAGE,
            last=(_TEXT + b'"","logprobs":null,"finish_reason":"length"}]}\n\n', _DONE),
        ),
        StreamShape(
            dialect="openai_responses",
            path="/v1/responses",
            first=(_typed(b"response.created", b'"response":{"id":"r_8f","model":"bench","status":"in_progress"}'),),
            token=_typed(
                b"response.output_text.delta", _ITEM + b'"delta":"%(ns)d.%(n)d","logprobs":[],"sequence_number":%(n)d'
            ),
            last=(
                _typed(
                    b"response.completed",
                    b'"response":{"model":"bench","status":"completed","usage":'
                    b'{"input_tokens":24,"output_tokens":%(n)d,"total_tokens":%(total)d}}',
                ),
            ),
        ),
        StreamShape(
            dialect="anthropic_messages",
            path="/v1/messages",
            first=(_typed(b"message_start", b'"message":{"id":"m_8","model":"bench","usage":{"input_tokens":24}}'),),
            token=_typed(b"content_block_delta", b'"index":0,"delta":{"type":"text_delta","text":"%(ns)d.%(n)d"}'),
            last=(
                _typed(b"message_delta", b'"delta":{"stop_reason":"max_tokens"},"usage":{"output_tokens":%(n)d}'),
                b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
            ),
        ),
        StreamShape(
            dialect="ollama",
            path="/api/chat",
            content_type=b"application/x-ndjson",
            end=b"\n",
            token=_OLLAMA + b'"%(ns)d.%(n)d"},"done":false}\n',
            last=(_OLLAMA + b'""},"done":true,"done_reason":"length","prompt_eval_count":24,"eval_count":%(n)d}\n',),
        ),
        StreamShape(
            dialect="sglang_generate",
            path="/generate",
            token=b'data: {"text":"%(ns)d.%(n)d","output_ids":[1],"meta_info":{"id":"8f0a6c1b2d3e4f5a","finish_reason":'
            b'null,"prompt_tokens":24,"weight_version":"default","completion_tokens":%(n)d,"cached_tokens":0}}\n\n',
            last=(
                b'data: {"text":"","output_ids":[],"meta_info":{"id":"8f0a","finish_reason":{"type":"length"},'
                b'"prompt_tokens":24,"completion_tokens":%(n)d}}\n\n',
                _DONE,
            ),
        ),
        StreamShape(
            dialect="llama_cpp",
            path="/completion",
            token=b'data: {"index":0,"content":"%(ns)d.%(n)d","tokens":[1],"stop":false,"id_slot":-1,'
            b'"tokens_predicted":%(n)d,"tokens_evaluated":24}\n\n',
            last=(
                b'data: {"index":0,"content":"","tokens":[],"stop":true,"stop_type":"limit",'
                b'"tokens_predicted":%(n)d,"tokens_evaluated":24}\n\n',
            ),
        ),
    )
}
