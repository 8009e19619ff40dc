"""Answers without tokens: complete when they are whole, and whatever a small body says of an error counts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.exchanges.reading import begun, told
from watchtower.exchanges.whole_answers import MOST_LOOKED_INTO, WholeAnswer
from watchtower.vocabulary.facts import Ending


def whole(body: Any, *, cut: bool = False, is_json: bool = True) -> WholeAnswer:
    reader = WholeAnswer(begun(), is_json)
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    reader.feed(text[:10])
    reader.feed(text[10:])
    reader.cut() if cut else reader.finish()
    return reader


@pytest.mark.parametrize(
    ("body", "ending"),
    [
        ({"data": []}, Ending.COMPLETE),
        ([[0.1, 0.2]], Ending.COMPLETE),
        (b"<html>log in</html>", None),
        (b"", None),
        ({"error": {"message": "x", "code": 400}}, Ending.REFUSED),
        ({"object": "error", "message": "x", "code": 503}, Ending.ERROR),
        ({"error": "broken"}, Ending.ERROR),
        (b'{"data": [', None),
        (b"null", None),
        (b"{" + b" " * MOST_LOOKED_INTO, Ending.COMPLETE),
    ],
)
def test_an_answer_is_complete_unless_it_says_otherwise(body: Any, ending: Ending | None) -> None:
    assert whole(body).ending() is ending


@pytest.mark.parametrize("body", [b"ID3\xff\xfb", b"[Music] and then", b" [BLANK_AUDIO]", b"nullify this", b""])
def test_what_need_not_be_json_may_begin_like_it(body: bytes) -> None:
    assert whole(body, is_json=False).ending() is Ending.COMPLETE


def test_model_and_totals_of_a_small_body_are_known() -> None:
    reader = whole({"model": "m" * 999, "usage": {"prompt_tokens": 7, "completion_tokens": 0}})
    found = told(reader.exchange, reader)

    assert (found.prompt, found.completion, reader.exchange.model) == (7, 0, "m" * 256)


def test_a_part_is_of_no_use() -> None:
    assert whole({"data": []}, cut=True).ending() is None
