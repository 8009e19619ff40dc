"""Ollama: a line with text is an estimated token, and the last line has the totals."""

from __future__ import annotations

from typing import Any

import pytest

from tests.exchanges.engine_streams import ollama, said
from tests.exchanges.reading import Read, begun, events, lines, read
from watchtower.exchanges.dialects.ollama import OLLAMA
from watchtower.exchanges.openai_requests import describe_request
from watchtower.vocabulary.facts import Ending

LAST = {"done": True, "done_reason": "length", "eval_count": 5, "prompt_eval_count": 9}


@pytest.mark.parametrize("form", [lines, events])
@pytest.mark.parametrize(
    "pieces",
    [
        (said("a"), said(""), said("", thinking="b")),
        (ollama(response="a"), ollama(response=""), ollama(response="", thinking="b")),
    ],
)
def test_lines_with_text_are_estimated_tokens(pieces: tuple[Any, ...], form: Any) -> None:
    assert read(OLLAMA, form(*pieces, {**ollama(), **LAST})) == Read(2, True, Ending.COMPLETE, 5, 9, "length")


def test_an_answer_in_one_piece_has_no_tokens_to_time() -> None:
    assert read(OLLAMA, lines({**said("a b"), **LAST}), stream=False) == Read(0, False, Ending.COMPLETE, 5, 9, "length")


def test_it_is_known_as_a_stream_once_it_streams() -> None:
    """Nobody has to ask: Ollama streams unless told not to."""
    exchange = begun()
    describe_request(exchange, b'{"model": "m", "messages": []}')
    reader = OLLAMA.open(exchange, "application/x-ndjson")
    assert reader is not None and not exchange.stream
    reader.feed(lines(said("a")))

    assert exchange.stream


def test_tool_calls_are_a_piece_of_any_number_of_tokens() -> None:
    exchange = begun()
    reader = OLLAMA.open(exchange, "")
    assert reader is not None
    at = 0
    for step in (1, 1, 1, 90):
        at += step * 1_000_000
        reader.feed(lines(said("a") if step == 1 else said("", tool_calls=[{"function": {"name": "f"}}])))
        exchange.tokens_read(at)
    reader.feed(lines({**ollama(), **LAST, "eval_count": 93}))
    exchange.close(reader.ending() or Ending.TRUNCATED, at)
    news = exchange.take_news()

    assert max(gap / tokens for gap, tokens in zip(news.gaps_ns, news.tokens, strict=True)) < 2_000_000


@pytest.mark.parametrize(
    ("body", "ending"),
    [
        (lines(said("a")), None),
        (lines(said("a"), {"error": "x"}), Ending.ERROR),
        (lines({"error": "x"}), Ending.ERROR),
        (lines({**ollama(response=""), "done": True, "done_reason": "load"}), Ending.EMPTY),
    ],
)
def test_how_it_ends(body: bytes, ending: Ending | None) -> None:
    assert read(OLLAMA, body).ending is ending
