"""SGLang's ``/generate``, and whoever else answers there. ``engine_streams.py`` has whole streams."""

from __future__ import annotations

from typing import Any

import pytest

from tests.exchanges.engine_streams import sglang, tgi
from tests.exchanges.reading import Read, events, lines, read
from watchtower.exchanges.dialects.sglang_generate import SGLANG_GENERATE
from watchtower.vocabulary.facts import Ending

STOP = {"type": "stop", "matched": 2}


def test_tokens_are_what_the_total_grew_by() -> None:
    body = events(sglang(1), sglang(4), sglang(4), sglang(9, STOP))

    assert read(SGLANG_GENERATE, body) == Read(9, False, Ending.COMPLETE, 9, 7, "stop")


@pytest.mark.parametrize(
    ("finish", "ending"),
    [
        (STOP, Ending.COMPLETE),
        ({"type": "length", "length": 5}, Ending.COMPLETE),
        ({"type": "abort", "message": "x"}, Ending.FAILED),
        ({"type": "abort", "message": "x", "status_code": 400}, Ending.REFUSED),
        ({"type": "abort", "message": "x", "status_code": 503}, Ending.ERROR),
        (None, None),
    ],
)
@pytest.mark.parametrize("form", [events, lambda body: lines(body)])
def test_why_it_ended_is_an_object(finish: Any, ending: Ending | None, form: Any) -> None:
    found = read(SGLANG_GENERATE, form(sglang(5, finish)), stream=form is events).ending

    assert found is (ending if form is events or ending is not None else Ending.COMPLETE)


def test_a_stream_in_which_one_of_two_samples_goes_on_has_not_ended() -> None:
    assert read(SGLANG_GENERATE, events(sglang(2, STOP, 0), sglang(1, index=1))).ending is None


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (events(tgi("a"), tgi("b", 2, generated_text="ab")), 2),
        (events({"text_output": "a"}, {"text_output": "b"}), 2),
        (lines({"text": ["a"]}, {"text": ["ab"]}), 2),
    ],
)
def test_other_engines_on_its_route_are_read_by_their_shape(body: bytes, tokens: int) -> None:
    found = read(SGLANG_GENERATE, body)

    assert (found.tokens, found.ending) == (tokens, Ending.COMPLETE)


@pytest.mark.parametrize("form", [events, lines])
def test_errors(form: Any) -> None:
    assert read(SGLANG_GENERATE, form({"error": {"message": "x", "code": 400}})).ending is Ending.REFUSED
    assert read(SGLANG_GENERATE, form({"object": "error", "message": "x", "code": 500, "meta_info": None})).ending is (
        Ending.ERROR
    )
