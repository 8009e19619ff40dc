"""TGI: an event is a token, exactly."""

from __future__ import annotations

from typing import Any

import pytest

from tests.exchanges.engine_streams import tgi
from tests.exchanges.reading import Read, begun, events, lines, read
from watchtower.exchanges.dialects.tgi import TGI, TgiStream
from watchtower.vocabulary.facts import Ending

DETAILS = {"finish_reason": "eos_token", "generated_tokens": 2, "input_length": 5}


@pytest.mark.parametrize("form", [events, lines])
def test_each_token_is_counted_and_details_bring_the_totals(form: Any) -> None:
    body = form(tgi("a"), tgi("b", 2, generated_text="ab", details=DETAILS))

    assert read(TGI, body) == Read(2, False, Ending.COMPLETE, 2, 5, "eos_token")


def test_without_details_the_whole_text_is_the_end() -> None:
    assert read(TGI, events(tgi("a"), tgi("b", 2))).ending is None
    assert read(TGI, events(tgi("a", generated_text="a"))) == Read(1, False, Ending.COMPLETE, -1, -1, "")


@pytest.mark.parametrize(
    ("body", "ending"),
    [
        ({"generated_text": "ab"}, Ending.COMPLETE),
        ([{"generated_text": "ab"}], Ending.COMPLETE),
        ({"generated_text": ""}, Ending.EMPTY),
        ({"predictions": ["ab"]}, Ending.COMPLETE),
    ],
)
def test_an_answer_in_one_piece(body: Any, ending: Ending) -> None:
    assert read(TGI, lines(body), stream=False) == Read(0, False, ending, -1, -1, "")


@pytest.mark.parametrize(
    ("kind", "ending"),
    [("validation", Ending.REFUSED), ("overloaded", Ending.SHED), ("generation", Ending.ERROR), (None, Ending.ERROR)],
)
@pytest.mark.parametrize("form", [events, lines])
def test_the_type_of_an_error_says_whose_it_is(kind: str | None, ending: Ending, form: Any) -> None:
    assert read(TGI, form(tgi("a"), {"error": "a sentence", "error_type": kind})).ending is ending


def test_a_sample_gets_the_text() -> None:
    said: list[object] = []

    class Sample:
        def add(self, text: object) -> None:
            said.append(text)

        def end(self, *ignored: object) -> None: ...

    exchange = begun()
    exchange.sample = Sample()
    TgiStream(exchange).feed(events(tgi("a"), tgi("b", 2)))

    assert said == ["a", "b"]
