"""What a request in OpenAI's shapes says and asks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from watchtower.exchanges.exchange import ExchangeTable
from watchtower.exchanges.openai_requests import AskedOfOpenAI, describe_request
from watchtower.vocabulary.errors import UNREADABLE


def asked(**body: Any) -> AskedOfOpenAI:
    return AskedOfOpenAI(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"model": "m", "stream": true}', ("m", True)),
        (b'{"model": "' + b"m" * 300 + b'", "stream": null}', ("m" * 256, False)),
        (b'{"model": 7}', ("", False)),
        (b"not json", ("", False)),
    ],
)
def test_a_request_names_its_model_and_whether_it_streams(body: bytes, said: tuple[str, bool]) -> None:
    exchange = ExchangeTable("0.1").begin(1, "/v1/completions")
    describe_request(exchange, body)

    assert (exchange.model, exchange.stream) == said


@pytest.mark.parametrize(
    ("body", "question", "alone", "plain"),
    [
        ({"prompt": "Once"}, "Once", True, True),
        ({"prompt": ["Once", "Twice"]}, "", True, True),
        ({"messages": [{"role": "user", "content": "Why?"}]}, "Why?", True, False),
        ({"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "Why?"}]}, "Why?", False, False),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "x", False, False),
        (
            {"messages": [{"role": "user", "content": [{"text": "a"}, {"image": 1}, "x", {"text": "b"}]}]},
            "a\nb",
            True,
            False,
        ),
        ({"messages": [{"role": "user", "content": {}}]}, "", True, False),
        ({"messages": [], "prompt": "Once"}, "Once", False, False),
    ],
)
def test_the_question_is_the_last_thing_said(body: dict[str, Any], question: str, alone: bool, plain: bool) -> None:
    request = asked(**body)

    assert (request.question, request.alone, request.plain) == (question, alone, plain)


@pytest.mark.parametrize(
    ("body", "greedy"),
    [({"temperature": 0}, True), ({"temperature": 0, "n": 1}, True), ({"temperature": 0, "n": 2}, False)]
    + [({"temperature": warm}, False) for warm in (0.1, None)]
    + [({}, False)],
)
def test_greedy_is_temperature_zero_and_one_answer(body: dict[str, Any], greedy: bool) -> None:
    assert asked(**body).greedy is greedy


def test_what_could_change_a_greedy_answer_stands_beside_it() -> None:
    assert asked(prompt="x", temperature=0, max_tokens=3, seed=1).nothing_beside()
    assert not asked(prompt="x", temperature=0, logit_bias={}).nothing_beside()


def test_the_conversation_is_as_the_request_has_it() -> None:
    assert AskedOfOpenAI(b'{"messages": [ {"role":"user"} ]}').conversation() == b'[ {"role":"user"} ]'
    assert AskedOfOpenAI(b'{"prompt":  "Once" }').conversation() == b'"Once"'


@pytest.mark.parametrize("body", [b"", b"[]", b'{"messages": 7}', b"\xff"])
def test_what_cannot_be_read_is_said_by_the_error_of_the_port(body: bytes) -> None:
    with pytest.raises(UNREADABLE):
        AskedOfOpenAI(body)
