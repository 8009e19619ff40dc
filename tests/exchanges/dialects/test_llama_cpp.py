"""llama.cpp's own routes; ``recordings/llama.cpp-…`` has what it really sends."""

from __future__ import annotations

from typing import Any

import pytest

from tests.exchanges.reading import Read, begun, events, lines, read
from watchtower.exchanges.dialects.llama_cpp import LLAMA_CPP
from watchtower.exchanges.dialects.openai_completions import OPENAI_COMPLETIONS
from watchtower.vocabulary.facts import Ending


def piece(total: int, index: int = 0, **more: Any) -> dict[str, Any]:
    return {"index": index, "content": "a", "stop": False, "tokens_predicted": total, "tokens_evaluated": 4, **more}


def last(total: int, index: int = 0, why: str = "eos") -> dict[str, Any]:
    return piece(total, index, stop=True, content="", stop_type=why, model="m")


def test_tokens_are_what_the_total_grew_by() -> None:
    body = events(piece(1), piece(3), last(3))

    assert read(LLAMA_CPP, body) == Read(3, False, Ending.COMPLETE, 3, 4, "eos")


def test_null_is_no_piece_of_a_list_of_prompts() -> None:
    body = events(None, piece(1, 1), piece(1), last(1, 1), last(2, why="limit"))

    assert read(LLAMA_CPP, body) == Read(3, False, Ending.COMPLETE, 3, 4, "limit")
    assert read(LLAMA_CPP, events(piece(1, 1), last(1))).ending is None, "one of two goes on"


@pytest.mark.parametrize("many", [False, True])
def test_an_answer_in_one_piece(many: bool) -> None:
    whole = {**last(5), "content": "abc"}
    found = read(LLAMA_CPP, lines([whole, whole] if many else whole), stream=False)

    assert found == Read(0, False, Ending.COMPLETE, 10 if many else 5, 4, "eos")


@pytest.mark.parametrize("form", [events, lines])
def test_errors(form: Any) -> None:
    error = {"error": {"code": 400, "message": "x", "type": "exceed_context_size_error"}}

    assert read(LLAMA_CPP, form(error)).ending is Ending.REFUSED
    assert read(LLAMA_CPP, form({"message": "x", "code": 500, "type": "error"})).ending is Ending.ERROR


def test_on_the_route_that_it_shares_with_openai_it_is_told_by_its_keys() -> None:
    assert read(OPENAI_COMPLETIONS, events(piece(1), piece(2), last(2))).tokens == 2
    assert read(OPENAI_COMPLETIONS, lines({**last(5), "content": "abc"}), stream=False).completion == 5


def test_a_reason_of_none_is_no_reason() -> None:
    exchange = begun()
    reader = LLAMA_CPP.open(exchange, "")
    assert reader is not None
    reader.feed(events(piece(1, stop_type="none"), last(1, why="none")))
    exchange.tokens_read(2)
    reader.finish()

    assert (reader.ending(), exchange.finish_reason) == (Ending.COMPLETE, "")
