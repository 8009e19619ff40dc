"""Clients that are slow, old, or gone."""

from __future__ import annotations

from tests.taps.conditions.script import (
    ASKED,
    DONE,
    END,
    FIVE,
    STOP,
    Comes,
    Do,
    Right,
    condition,
    event,
    head,
    part,
    request,
    stream,
    words,
)
from watchtower.vocabulary.facts import Ending

CLIENTS = (
    condition(
        "slow-upload",
        "mostlygeek/llama-swap#11 class: body sent after Expect: 100-continue",
        Right(ending=Ending.COMPLETE, tokens=5, upload=1.5),
        (Do.AWAIT_HEAD, b"HTTP/1.1 100 Continue\r\n\r\n", Do.AWAIT_BODY, *FIVE[2:]),
        (
            head("slow-upload", length=71, more="Expect: 100-continue\r\n"),
            Comes(b"100 Continue"),
            1.5,
            b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}',
            Do.AWAIT_ANSWER,
        ),
    ),
    condition(
        "upload-in-drops",
        "a client on a slow line",
        Right(ending=Ending.COMPLETE, tokens=5, upload=1.0),
        FIVE,
        (head("upload-in-drops", length=100), *((0.1, b"x" * 10) * 10), Do.AWAIT_ANSWER),
    ),
    condition(
        "slow-reader",
        "anthony-chaudhary/fak#10725",
        Right(ending=Ending.COMPLETE, tokens=1200, longest=1.0),
        stream((event(part({"content": "w"}, logprobs="x" * 4000)), 0.001) * 1200, STOP, DONE, END),
        (request("slow-reader"), 0.3, Do.STOP_READING, 3.0, Do.GO_ON_READING, Do.AWAIT_ANSWER),
    ),
    condition(
        "left-after-done",
        "load generators that close at [DONE]",
        Right(ending=Ending.COMPLETE, tokens=5),
        stream(words(5, 0.02), STOP, DONE, 0.6, END),
        (request("left-after-done"), Comes(b"[DONE]")),
        mirrored=False,
    ),
    condition(
        "left-after-the-finish-reason",
        "clients that need no usage",
        Right(ending=Ending.COMPLETE, tokens=5),
        stream(words(5, 0.02), STOP, 0.6, DONE, END),
        (request("left-after-the-finish-reason"), Comes(b"stop")),
        mirrored=False,
    ),
    condition(
        "left-in-the-middle",
        "a user who had enough",
        Right(ending=Ending.CLIENT_LEFT),
        stream(words(50, 0.05), STOP, DONE, END),
        (request("left-in-the-middle"), Comes(b"content")),
        counted=("clients_left",),
        mirrored=False,
    ),
    condition(
        "http10-client",
        "ModelTC/HTTP/1.0 benchmark clients (ab)",
        Right(ending=Ending.COMPLETE, tokens=5),
        (
            *ASKED,
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n",
            *((0.05, b'data: {"choices":[{"index":0,"delta":{"content":"w"}}]}\n\n') * 5),
            b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
            Do.CLOSE,
        ),
        (request("http10-client", version="1.0"), Do.AWAIT_ANSWER),
    ),
    condition(
        "large-prompt",
        "sgl-project/sglang#12081 (500 kB prompt)",
        Right(ending=Ending.COMPLETE, tokens=5),
        FIVE,
        (request("large-prompt", body={"model": "m", "stream": True, "prompt": "x" * 5_000_000}), Do.AWAIT_ANSWER),
    ),
)
