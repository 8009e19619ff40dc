"""Whose fault an error inside a 200 is."""

from __future__ import annotations

import json

import pytest

from watchtower.exchanges.errors_inside import blame, flat_error
from watchtower.vocabulary.facts import Ending


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        ({"message": "EngineCore died"}, Ending.ERROR),
        ({"code": 500}, Ending.ERROR),
        ({"code": 503}, Ending.ERROR),
        ({"code": 400}, Ending.REFUSED),
        ({"code": "404"}, Ending.REFUSED),
        ({"code": 499, "type": "api_error"}, Ending.REFUSED),
        ({"code": 429}, Ending.SHED),
        ({"status": 422}, Ending.REFUSED),
        ({"code": "context_length_exceeded"}, Ending.ERROR),
        ({"code": True}, Ending.ERROR),
        ({"code": "²"}, Ending.ERROR),
        ({"code": 40303}, Ending.REFUSED),
        ({"code": 50001}, Ending.ERROR),
        ({"code": 10**30}, Ending.ERROR),
        ({"type": "invalid_request_error", "message": "no"}, Ending.REFUSED),
        ({"type": "rate_limit_error"}, Ending.SHED),
        ({"type": "overloaded_error"}, Ending.ERROR),
        ({"type": "error", "error": {"type": "not_found_error"}}, Ending.REFUSED),
        ("it broke", Ending.ERROR),
        ([1], Ending.ERROR),
        (None, Ending.ERROR),
    ],
)
def test_a_code_of_the_callers_is_the_callers_and_everything_else_the_engines(error: object, ending: Ending) -> None:
    assert blame(error) is ending


@pytest.mark.parametrize(
    ("said", "is_error"),
    [
        ({"object": "error", "message": "the engine is dead", "code": 500}, True),
        ({"type": "error", "message": "no"}, True),
        ({"message": "no", "code": 400}, True),
        ({"message": "hello"}, False),
        ({"code": 500}, False),
        ({"object": "list"}, False),
        ({}, False),
        ([], False),
    ],
)
def test_an_object_without_an_answer_may_be_an_error_as_a_whole(said: object, is_error: bool) -> None:
    assert (flat_error(json.dumps(said).encode()) is not None) is is_error


def test_bytes_that_are_no_json_are_no_error_object() -> None:
    assert flat_error(b'{"object": "error"') is None
