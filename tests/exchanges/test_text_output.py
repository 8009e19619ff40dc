"""Bare text: an object is an estimated token where a stream was asked for, and the framing is the only end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.exchanges.reading import Read, events, lines, read
from watchtower.exchanges.dialects.tgi import TGI
from watchtower.vocabulary.facts import Ending


@pytest.mark.parametrize("form", [events, lines])
def test_pieces_of_a_stream_are_estimated_tokens(form: Any) -> None:
    body = form({"model_name": "m", "text_output": "a"}, {"text_output": ""}, {"text_output": "b"})

    assert read(TGI, body) == Read(2, True, Ending.COMPLETE, -1, -1, "")
    assert read(TGI, body, cut=True).ending is None


def test_an_answer_in_one_piece_has_no_tokens_to_time() -> None:
    assert read(TGI, lines({"text_output": "a"}), stream=False) == Read(0, False, Ending.COMPLETE, -1, -1, "")
    assert read(TGI, lines({"text": ["a"]}), stream=False).ending is Ending.COMPLETE
    assert read(TGI, lines({"text_output": ""}), stream=False).ending is Ending.EMPTY


@pytest.mark.parametrize("form", [events, lines])
def test_errors_and_strangers(form: Any) -> None:
    assert read(TGI, form({"text_output": "a"}, {"error": "x"})).ending is Ending.ERROR
    assert read(TGI, form({"text_output": "a"}, {"mine": 1})).ending is Ending.COMPLETE
