"""Answers whose events name their type."""

from __future__ import annotations

import json

import pytest

from watchtower.exchanges.exchange import Exchange, ExchangeTable
from watchtower.exchanges.typed_events import TypedBody, TypedStream


def begun() -> Exchange:
    return ExchangeTable("0.1").begin(1, "/v1/messages")


@pytest.mark.parametrize(
    ("kind", "tokens", "ended", "errored"),
    [
        ("content_block_delta", 1, False, False),
        ("response.output_text.delta", 1, False, False),
        ("message_delta", 0, False, False),
        ("message_start", 0, False, False),
        ("message_stop", 0, True, False),
        ("response.completed", 0, True, False),
        ("response.incomplete", 0, True, False),
        ("response.failed", 0, False, True),
        ("error", 0, False, True),
        (None, 0, False, False),
    ],
)
def test_an_event_counts_by_its_type(kind: str | None, tokens: int, ended: bool, errored: bool) -> None:
    reader = TypedStream(begun())
    reader.feed(f"event: x\ndata: {json.dumps({'type': kind})}\n\n".encode())

    assert (reader.exchange.fresh, reader.ended, reader.errored) == (tokens, ended, errored)
    assert reader.exchange.estimated is bool(tokens)


def test_a_body_tells_its_model_and_its_totals() -> None:
    reader = TypedBody(begun())
    reader.feed(b'{"type": "message", "model": "m", "content": [], "usage": {"input_tokens": 4, "output_tokens": 2}}')
    reader.finish()

    exchange = reader.exchange
    assert (exchange.model, exchange.prompt_tokens, exchange.completion_tokens, reader.ended) == ("m", 4, 2, True)
