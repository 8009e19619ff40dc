"""What streams carry besides tokens, and how they write it."""

from __future__ import annotations

from tests.taps.conditions.script import (
    DONE,
    END,
    STOP,
    Right,
    chunk,
    condition,
    event,
    stream,
    word,
    words,
)
from watchtower.vocabulary.facts import Ending

FORMS = (
    condition(
        "empty-data-keepalive-first",
        "Growth-Circle/cadis#2329, netease-lcap/wave-agent#1326",
        Right(ending=Ending.COMPLETE, tokens=20, pace=0.05),
        stream(chunk(b"data: \n\n"), 0.2, words(20, 0.05), STOP, DONE, END),
    ),
    condition(
        "many-empty-data",
        "keep-alives through a long prefill",
        Right(ending=Ending.COMPLETE, tokens=5),
        stream((0.02, chunk(b"data:\n\n")) * 20, words(5, 0.02), STOP, DONE, END),
    ),
    condition(
        "pings-first",
        "payloads that are no object",
        Right(ending=Ending.COMPLETE, tokens=5),
        stream((0.02, chunk(b"data: ping\n\n")) * 7, words(5, 0.02), STOP, DONE, END),
    ),
    condition(
        "pings-between",
        "the same, in the middle",
        Right(ending=Ending.COMPLETE, tokens=10),
        stream(words(5, 0.02), (0.02, chunk(b"data: 7\n\n")) * 20, words(5, 0.02), STOP, DONE, END),
    ),
    condition(
        "another-stream",
        "events of no dialect",
        Right(ending=Ending.UNOBSERVED),
        stream((0.02, chunk(b"data: tick\n\n")) * 12, END),
    ),
    condition(
        "comments-and-retry",
        "theopenco/llmgateway#2334, openai/openai-python#3833",
        Right(ending=Ending.COMPLETE, tokens=20, pace=0.05),
        stream(
            chunk(b": ping\n\n"),
            chunk(b"retry: 3000\n\n"),
            chunk(b"id: 7\n\n"),
            (0.05, word(), chunk(b": ping\n")) * 20,
            STOP,
            DONE,
            END,
        ),
    ),
    condition(
        "crlf-bom-utf8-split",
        "WHATWG 9.2.6; dataelement/Clawith#106 (no space)",
        Right(ending=Ending.COMPLETE, tokens=3),
        stream(
            chunk('\ufeffdata:{"choices":[{"index":0,"delta":{"content":"'.encode() + b"\xc3"),
            0.02,
            chunk(b'\xa9"},"finish_reason":null}]}\r'),
            0.02,
            chunk(b"\n\r\n"),
            0.05,
            chunk(b'data:{"choices":[{"index":0,"delta":{"content":"w"}}]}\r\n\r\n'),
            0.05,
            chunk(b'data: {"choices":[{"index":0,\ndata: "delta":{"content":"w"}}]}\r\r'),
            STOP,
            DONE,
            END,
        ),
    ),
    condition(
        "azure-first-event",
        "a first event with an empty list of choices",
        Right(ending=Ending.COMPLETE, tokens=5),
        stream(event({"choices": [], "prompt_filter_results": []}), words(5, 0.02), STOP, DONE, END),
    ),
)
