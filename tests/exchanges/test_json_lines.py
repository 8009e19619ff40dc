"""An object a line, cut anywhere; one object over many lines; and what is no such thing."""

from __future__ import annotations

import pytest

from tests.exchanges.reading import begun
from watchtower.exchanges.dialect import MAX_BODY_BYTES
from watchtower.exchanges.dialects.ollama import OllamaLines
from watchtower.vocabulary.errors import ProtocolFault
from watchtower.vocabulary.facts import Ending

STREAM = (
    b'{"model": "m", "message": {"content": "a"}, "done": false}\n\n'
    b'{"message": {"content": "b"}, "done": false}\r\n{"done": true, "eval_count": 3}'
)


@pytest.mark.parametrize("step", [1, 3, 17, 1000])
def test_lines_are_read_however_they_are_cut(step: int) -> None:
    reader = OllamaLines(begun())
    for begin in range(0, len(STREAM), step):
        reader.feed(STREAM[begin : begin + step])
    reader.finish()
    exchange = reader.exchange

    assert (exchange.fresh, exchange.model, exchange.completion_tokens) == (2, "m", 3)
    assert (reader.ending(), reader.malformed) == (Ending.COMPLETE, 0)


@pytest.mark.parametrize("step", [1, 9, 1000])
def test_one_object_may_be_printed_over_many_lines(step: int) -> None:
    body = b'{\n  "message": {\n    "content": "a"\n  },\n  "done": true,\n  "eval_count": 1\n}\n'
    reader = OllamaLines(begun())
    for begin in range(0, len(body), step):
        reader.feed(body[begin : begin + step])
    reader.finish()

    assert (reader.ending(), reader.exchange.completion_tokens, reader.malformed) == (Ending.COMPLETE, 1, 0)


def test_a_mutilated_line_costs_that_line() -> None:
    reader = OllamaLines(begun())
    reader.feed(b'{"message": {"content": "a"}, "done": false}\n{"messa\n{"done": true}\n')
    reader.finish()

    assert (reader.exchange.fresh, reader.malformed, reader.ending()) == (1, 1, Ending.COMPLETE)


def test_lines_of_something_else_are_not_read() -> None:
    reader = OllamaLines(begun())
    with pytest.raises(ProtocolFault):
        reader.feed(b'{"mine": 1}\n' * 8)
    reader = OllamaLines(begun())
    reader.feed(b'{"mine": 1}\n')
    with pytest.raises(ProtocolFault):
        reader.finish()


def test_an_answer_without_its_last_line_has_not_ended() -> None:
    reader = OllamaLines(begun())
    reader.feed(b'{"message": {"content": "a"}, "done": false}\n')
    reader.cut()

    assert reader.ending() is None


def test_a_line_is_bounded() -> None:
    reader = OllamaLines(begun())
    reader.feed(b" " * MAX_BODY_BYTES)
    with pytest.raises(ProtocolFault):
        reader.feed(b" ")
