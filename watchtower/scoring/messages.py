"""What the daemon and the scorer child say to each other: msgpack in frames with four bytes of length before them.

The child's standard input and output carry frames and nothing else. Texts go one way and vectors come back; neither is
ever written down. A frame longer than ``MOST_BYTES`` is garbage.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import msgspec

MOST_BYTES = 64 * 1024 * 1024
LENGTH_BYTES = 4
PACKAGE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""The offline encoder: of the weights that sentence-transformers publishes as all-MiniLM-L6-v2."""


class ScorerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """First frame to the child: what to load, and how much of the machine it may use."""

    model: str = ""
    """A directory, or a name for the hub; "": the offline encoder package."""
    sha256: str = ""
    """Of ``model.safetensors`` in that directory; "" checks nothing (the offline package is always checked)."""
    backend: str = "torch"
    threads: int = 1
    batch: int = 32
    """Pieces computed together."""


class Work(msgspec.Struct, frozen=True):
    id: int
    texts: list[str]


class Ready(msgspec.Struct, frozen=True, tag="ready", kw_only=True):
    """The child has loaded its encoder, or (``trouble``) never will."""

    trouble: str = ""
    encoder: str = ""
    width: int = 0
    """Numbers in a vector."""
    rss_bytes: int = 0


class Done(msgspec.Struct, frozen=True, tag="done", kw_only=True):
    id: int
    vectors: bytes = b""
    """float32, little-endian, one vector after the other."""
    pieces: int = 0
    trouble: str = ""
    """The kind of error; no text."""
    cpu_seconds: float = 0.0
    rss_bytes: int = 0


class Readable(Protocol):
    """A pipe's reading end."""

    def read(self, count: int, /) -> bytes: ...


def frame(message: msgspec.Struct) -> bytes:
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def read_blocking(stream: Readable) -> bytes:
    """One frame's body; empty at the end of the stream."""
    head = stream.read(LENGTH_BYTES)
    return stream.read(int.from_bytes(head, "big")) if len(head) == LENGTH_BYTES else b""


async def read(stream: asyncio.StreamReader) -> bytes:
    """One frame's body. Raises EOFError at the end of the stream, ValueError for a frame beyond the limit."""
    try:
        length = int.from_bytes(await stream.readexactly(LENGTH_BYTES), "big")
        if length > MOST_BYTES:
            raise ValueError("a frame beyond the limit")
        return await stream.readexactly(length)
    except asyncio.IncompleteReadError as problem:
        raise EOFError from problem
