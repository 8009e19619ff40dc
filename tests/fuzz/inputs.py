"""What an engine and a client may send, made of recordings and a seed."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Final

from tests.exchanges.engine_streams import FROM_DOCUMENTS
from tests.exchanges.recorded import RECORDED_FROM_ENGINES
from tests.exchanges.recordings.answers import recorded_answers
from tests.exchanges.streams import RECORDED

_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n"
_EVENTS: Final = _HEAD % b"text/event-stream"
_WORDS: Final = (
    *(b"\r\n", b"\n", b"\r", b"\0", b"\xff\xfe", b"0\r\n\r\n", b"data: ", b"data:", b"event: error\n", b"[DONE]"),
    *(b": ping\n\n", b"{}", b"[", b"}", b'"', b"null", b"-1", b"1e999", b"99999999999999999999", b'"choices":7'),
    *(b'"usage":{"completion_tokens":-5}', b'"index":4294967296', b'"finish_reason":{}', b"\\ud800", b";x=y"),
    *(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"content-length: 3\r\n", b"ffffffffffffffff\r\n"),
)


@dataclass(frozen=True)
class Answer:
    """What an engine sends, and where it is asked for it."""

    name: str
    path: str
    wire: bytes
    ends: bool = True
    """Its framing does; otherwise it is cut for the client as it is for us, and what is under way may be lost."""


def answers() -> list[Answer]:
    """Every recording, whole."""
    theirs = [Answer(kept.name, kept.path, kept.wire) for kept in recorded_answers("vllm-0.32")]
    ours = [
        Answer(kept.name, kept.dialect.routes[0], kept.wire)
        for kept in (*RECORDED, *FROM_DOCUMENTS, *RECORDED_FROM_ENGINES)
    ]
    return theirs + ours


def chunked(body: bytes, sizes: list[int], extension: bytes = b"") -> bytes:
    """``body`` in HTTP chunks of ``sizes``, again and again."""
    parts, place, turn = [], 0, 0
    while place < len(body):
        part = body[place : place + sizes[turn % len(sizes)]]
        parts.append(b"%x%b\r\n%b\r\n" % (len(part), extension, part))
        place, turn = place + len(part), turn + 1
    return b"".join(parts) + b"0\r\n\r\n"


def extremes() -> list[Answer]:
    """What no engine sends, and one that is broken (or not one) might."""
    chat = "/v1/chat/completions"
    token = b'data: {"model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
    done = b"data: [DONE]\n\n"
    long_line = token.replace(b'"a"', b'"' + b"a" * 2**20 + b'"')
    deep = b'data: {"choices":' + b"[" * 50_000 + b"]" * 50_000 + b"}\n\n"
    bodies = {
        "a line of 1 MiB": (long_line + done, [4096]),
        "a line of 1 MiB in chunks of a few bytes": (long_line[: 2**17] + b'"}}]}\n\n' + done, [3, 7]),
        "a line that never ends": (b"data: " + b"x" * 5 * 2**20, [60_000]),
        "100,000 tiny events": (token + b"data: {}\n\n" * 100_000, [10]),
        "100,000 tiny events in large chunks": (token + b"data: {}\n\n" * 100_000, [65_000]),
        "100,000 tiny events, some hundreds a chunk": (token + b"data: {}\n\n" * 100_000, [4000]),
        "20,000 tokens at once": (token * 20_000 + done, [len(token)]),
        "20,000 tokens at once, a byte a chunk": ((token * 300 + done), [1]),
        "blank lines": (token + b"\n" * 200_000, [10_000]),
        "line ends of all kinds": (token + b"\r\r\n\n" * 50_000 + token, [777]),
        "deep JSON": (deep * 5 + token + done, [5000]),
        "many choices": (
            b"".join(token.replace(b'"index":0', b'"index":%d' % n) for n in range(20_000)) + done,
            [len(token)],
        ),
        "an event of many choices": (
            b'data: {"choices":['
            + b",".join(b'{"index":%d,"delta":{"content":"a"}}' % n for n in range(9_000))
            + b"]}\n\n"
            + done,
            [8000],
        ),
    }
    made = [Answer(name, chat, _EVENTS + chunked(body, sizes)) for name, (body, sizes) in bodies.items()]
    extension = b";" + b"x" * 40_000
    made.append(Answer("long chunk extensions", chat, _EVENTS + chunked(token * 30 + done, [40], extension)))
    made.append(Answer("an extension that never ends", chat, _EVENTS + b"5;" + b"y" * 2**20, ends=False))
    made.append(Answer("trailers", chat, _EVENTS + chunked(token, [9])[:-2] + b"x: y\r\n" * 5000 + b"\r\n"))
    made.append(Answer("a head that never ends", chat, b"HTTP/1.1 200 OK\r\n" + b"x-header: y\r\n" * 60_000, False))
    whole = {"model": "m", "choices": [{"message": {"content": "a" * 3 * 2**20}, "finish_reason": "stop"}]}
    body = json.dumps(whole).encode()
    made.append(
        Answer(
            "a body of 3 MiB", chat, b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
    )  # fmt: skip
    lines = b'{"model":"m","message":{"content":"a"},"done":false}\n' * 20_000 + b'{"done":true}\n'
    made.append(Answer("20,000 lines", "/api/chat", _HEAD % b"application/x-ndjson" + chunked(lines, [53, 4000])))
    return made


def request(rng: random.Random, path: str) -> bytes:
    """One that is in order, in one of its forms."""
    body = json.dumps(
        {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x" * rng.randrange(99)}]}
    )
    raw = body.encode()
    head = b"POST %b HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\n" % path.encode()
    if rng.random() < 0.3:
        return head + b"transfer-encoding: chunked\r\n\r\n" + chunked(raw, [rng.randrange(1, 50)])
    return head + b"content-length: %d\r\n\r\n%b" % (len(raw), raw)


def mutilated(rng: random.Random, data: bytes) -> bytes:
    """``data`` after a few accidents."""
    made = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(made) + 1)
        match rng.randrange(6):
            case 0:
                made[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del made[at : at + rng.randrange(1, 40)]
            case 2:
                made[at:at] = rng.choice(_WORDS)
            case 3:
                made[at:at] = made[at : at + rng.randrange(1, 400)]
            case 4:
                made[at:at] = rng.randbytes(rng.randrange(1, 30))
            case _:
                if rng.random() < 0.3:
                    del made[at:]
    return bytes(made)


def cut_anew(rng: random.Random, answer: Answer) -> Answer:
    """The same body in other chunks; what has none stays as it is."""
    head, _, rest = answer.wire.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head.lower():
        return answer
    body, at = bytearray(), 0
    while (line := rest.find(b"\r\n", at)) >= 0:
        size = int(rest[at:line].partition(b";")[0] or b"0", 16)
        if not size:
            break
        body += rest[line + 2 : line + 2 + size]
        at = line + 4 + size
    sizes = [rng.choice((1, 2, 5, 40, 300, 5000)) for _ in range(rng.randrange(1, 5))]
    extension = rng.choice((b"", b"", b";a", b';a="b"'))
    return Answer(answer.name, answer.path, head + b"\r\n\r\n" + chunked(bytes(body), sizes, extension))
