"""A reader as the relay has it: opened for one exchange, and fed."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from watchtower.exchanges.dialect import Dialect, Reader
from watchtower.exchanges.exchange import Exchange, ExchangeTable
from watchtower.vocabulary.facts import Ending


def begun() -> Exchange:
    return ExchangeTable("0.1").begin(1, "/")


class Read(NamedTuple):
    """What a reader wrote down."""

    tokens: int
    estimated: bool
    ending: Ending | None
    completion: int
    prompt: int
    finish: str


def read(dialect: Dialect, *pieces: bytes, stream: bool = True, cut: bool = False) -> Read:
    """Feed ``pieces``, then the end of the framing; or what is there when it is ``cut``."""
    exchange = begun()
    if stream:
        exchange.describe(stream=True)
    reader = dialect.open(exchange, "")
    assert reader is not None
    tokens = 0
    for ns, piece in enumerate(pieces, start=2):
        reader.feed(piece)
        tokens += exchange.fresh
        if exchange.fresh:
            exchange.tokens_read(ns)
    reader.cut() if cut else reader.finish()
    return told(exchange, reader, tokens + exchange.fresh)


def told(exchange: Exchange, reader: Reader, tokens: int = 0) -> Read:
    return Read(
        tokens,
        exchange.estimated,
        reader.ending(),
        exchange.completion_tokens,
        exchange.prompt_tokens,
        exchange.finish_reason,
    )


def events(*payloads: Any) -> bytes:
    return b"".join(f"data: {json.dumps(payload)}\n\n".encode() for payload in payloads)


def lines(*payloads: Any) -> bytes:
    return b"".join(json.dumps(payload).encode() + b"\n" for payload in payloads)
