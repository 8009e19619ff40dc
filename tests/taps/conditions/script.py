"""The words in which a condition is written: what the engine does, what the client does, and what is right then."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from watchtower.vocabulary.facts import Ending

CASE_HEADER: Final = "x-case"
"""Names the condition in each request; the relay tells it back as the exchange's tag."""


class Do(Enum):
    """What a side does besides sending bytes (``bytes``) and waiting (``float``, seconds)."""

    AWAIT_HEAD = 1
    """Go on when a whole request head has come."""
    AWAIT_BODY = 2
    """Go on when the body that the head announced has come."""
    AWAIT_QUIET = 3
    """Go on when nothing has come for a moment after something had, or the other side closed."""
    AWAIT_ANSWER = 12
    """Go on when the engine has done all that its script says, and nothing more comes."""
    AWAIT_END = 4
    """Go on when the other side closed."""
    CLOSE = 5
    RESET = 6
    HALF_CLOSE = 7
    STOP_READING = 8
    GO_ON_READING = 9
    HOLD = 10
    """The daemon orders a hold: requests wait 1 s at most."""
    RELEASE = 11


@dataclass(frozen=True)
class Comes:
    """Go on when these bytes have come."""

    what: bytes


Step = bytes | float | Do | Comes
Script = tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class Right:
    """What the relay must say of one exchange. None: it does not matter."""

    ending: Ending
    tokens: int | None = None
    """In all."""
    pace: float | None = None
    """Seconds between two tokens of one choice, the median, by the ratio of tokens to pieces where there is a total."""
    longest: float | None = None
    """No gap of the engine was longer."""
    upload: float | None = None
    """Seconds from the request's head to its last byte, at least."""
    total: int | None = None
    prompt: int | None = None
    finish: str | None = None
    status: int | None = None
    model: str | None = None
    unknown_finish: bool = False


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One connection of a client, and what the engine does on the connections that come of it."""

    name: str
    reported: str
    """Where people met it."""
    right: tuple[Right, ...]
    """One for each exchange, in order; none: nothing is observed."""
    engine: tuple[Script, ...]
    """One for each connection that the engine gets, the last for all further ones."""
    client: Script = ()
    """() : one chat request, and then its answer is read."""
    counted: tuple[str, ...] = ()
    """Counters of the relay that go up by one."""
    alone: bool = False
    """It needs a relay worker of its own."""
    mirrored: bool = True
    """The client gets what the engine sent, and the engine what the client sent."""
    client_got: bytes = b""
    """Is in what the client got."""
    at_the_engine: int | None = None
    """How many requests reached it."""


# ── requests ────────────────────────────────────────────────────────────────────────────────────

CHAT: Final = "/v1/chat/completions"


def request(name: str, path: str = CHAT, body: Any = None, *, version: str = "1.1", more: str = "") -> bytes:
    """A whole request; ``more``: further header lines, each with its end."""
    content = json.dumps(
        body or {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    ).encode()
    return head(name, path, len(content), version=version, more=more) + content


def head(name: str, path: str = CHAT, length: int = 0, *, version: str = "1.1", more: str = "") -> bytes:
    lines = (
        f"POST {path} HTTP/{version}\r\nHost: e\r\n{CASE_HEADER}: {name}\r\nContent-Type: application/json\r\n{more}"
    )
    return f"{lines}Content-Length: {length}\r\n\r\n".encode()


# ── answers ─────────────────────────────────────────────────────────────────────────────────────

SSE: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
END: Final = b"0\r\n\r\n"
ASKED: Final[Script] = (Do.AWAIT_HEAD, Do.AWAIT_BODY)


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def event(payload: Any) -> bytes:
    """One event in one chunk; a dict as JSON."""
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return chunk(b"data: " + text + b"\n\n")


DONE: Final = event(b"[DONE]")


def part(delta: dict[str, Any] | None = None, *, index: int = 0, finish: Any = None, **more: Any) -> dict[str, Any]:
    """A chat chunk with one choice."""
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **more}


def usage(completion: int, prompt: int = 5) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def word(index: int = 0, **more: Any) -> bytes:
    return event(part({"content": "w"}, index=index, **more))


def total(completion: int, prompt: int = 5) -> bytes:
    """The usage that comes last, without a choice."""
    return event(
        {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [], "usage": usage(completion, prompt)}
    )


ROLE: Final = event(part({"role": "assistant", "content": ""}))
STOP: Final = event(part(finish="stop"))


def words(count: int, every: float) -> Script:
    return (every, word()) * count


def stream(*steps: Step | Script) -> Script:
    """An asked-for stream of these; scripts inside are laid out flat."""
    flat: list[Step] = [*ASKED, SSE]
    for step in steps:
        flat.extend(step) if isinstance(step, tuple) else flat.append(step)
    return tuple(flat)


def body(content: Any, status: str = "200 OK", *, more: str = "", length: int | None = None) -> Script:
    """An answer in one piece; ``content``: bytes, or something for JSON."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    size = len(raw) if length is None else length
    lines = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}content-length: {size}\r\n\r\n"
    return (*ASKED, lines.encode() + raw)


FIVE: Final = stream(words(5, 0.02), STOP, DONE, END)


def condition(name: str, reported: str, right: Right, engine: Script, client: Script = (), **more: object) -> Condition:
    return Condition(name=name, reported=reported, right=(right,), engine=(engine,), client=client, **more)  # type: ignore[arg-type]


def interleaved(choices: int, rounds: int, every: float, apart: float) -> Script:
    """Each round brings a token of every choice, ``apart`` seconds between them."""
    tokens: list[bytes | float] = []
    for index in range(choices):
        tokens += [word(index), apart] if apart else [word(index)]
    return (every, *tokens) * rounds


def stops(choices: int) -> Script:
    return tuple(event(part(index=index, finish="stop")) for index in range(choices))
