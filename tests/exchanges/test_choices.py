"""Answers made of choices: which tokens are exact, which are estimated, and whose text is whose."""

from __future__ import annotations

import json
from typing import Any

import pytest

from watchtower.exchanges.choices import ChoiceBody, ChoiceStream
from watchtower.exchanges.exchange import Exchange, ExchangeTable


def begun() -> Exchange:
    return ExchangeTable("0.1").begin(1, "/v1/chat/completions")


def choice(content: str | None = None, **more: Any) -> dict[str, Any]:
    return {"index": 0, "delta": {} if content is None else {"content": content}, **more}


def stream(*events: dict[str, Any]) -> ChoiceStream:
    reader = ChoiceStream(begun())
    for event in events:
        reader.feed(f"data: {json.dumps(event)}\n\n".encode())
    return reader


@pytest.mark.parametrize(
    ("events", "tokens", "estimated"),
    [
        ([{"choices": [choice("a")]}, {"choices": [choice("b")]}], 2, True),
        ([{"choices": [choice(""), choice()]}], 0, False),
        ([{"choices": [choice("a"), {"index": 1, "text": "b"}]}], 2, True),
        ([{"choices": [choice("ab", token_ids=[1, 2])]}, {"choices": [choice("", token_ids=[])]}], 2, False),
        ([{"choices": [choice("a")], "usage": {"completion_tokens": n}} for n in (1, 4, 4, 2)], 4, False),
        ([{"choices": [choice("a")]}, {"choices": [choice("b")], "usage": {"completion_tokens": 30}}], 2, True),
        (
            [
                {"choices": [choice("a", index=i)], "usage": {"completion_tokens": n}}
                for i, n in ((0, 1), (1, 1), (0, 3))
            ],
            4,
            False,
        ),
        ([{"choices": [choice("a", token_ids="no list")]}], 1, True),
        ([{"choices": []}, {"choices": None}, {}], 0, False),
    ],
)
def test_tokens_are_exact_where_the_engine_tells_and_estimated_otherwise(
    events: list[dict[str, Any]], tokens: int, estimated: bool
) -> None:
    exchange = stream(*events).exchange

    assert (exchange.fresh, exchange.estimated) == (tokens, estimated)


@pytest.mark.parametrize(
    "delta",
    ["content", "reasoning", "reasoning_content", "tool_calls", "function_call", "refusal"],
)
def test_whatever_a_delta_carries_is_a_token(delta: str) -> None:
    assert stream({"choices": [{"delta": {delta: ["x"]}}]}).exchange.fresh == 1


@pytest.mark.parametrize(
    ("event", "ended", "errored"),
    [
        ({"choices": [choice(finish_reason="stop")]}, True, False),
        ({"choices": [choice("a")]}, False, False),
        ({"error": {"message": "no"}}, False, True),
        ({"type": "error"}, False, True),
    ],
)
def test_a_finish_reason_ends_and_an_error_is_one(event: dict[str, Any], ended: bool, errored: bool) -> None:
    reader = stream(event)

    assert (reader.ended, reader.errored) == (ended, errored)


class Text:
    def __init__(self) -> None:
        self.pieces: list[object] = []

    def add(self, text: object) -> None:
        self.pieces.append(text)

    def end(self, *ending: object) -> None: ...


def test_the_text_of_the_first_choice_is_gathered_where_it_is_wanted() -> None:
    reader = ChoiceStream(begun())
    reader.exchange.sample = text = Text()
    for index, content in ((0, "a"), (1, "other"), (0, "b")):
        reader.feed(f"data: {json.dumps({'choices': [choice(content, index=index)]})}\n\n".encode())

    assert text.pieces == ["a", "b"]


@pytest.mark.parametrize("said", [{"message": {"content": "hi"}}, {"text": "hi"}])
def test_a_body_has_a_finish_reason_and_its_text(said: dict[str, Any]) -> None:
    reader = ChoiceBody(begun())
    reader.exchange.sample = text = Text()
    reader.feed(json.dumps({"choices": [{**said, "finish_reason": "length"}, {"text": "other"}]}).encode())
    reader.finish()

    assert (reader.ended, reader.exchange.finish_reason, text.pieces) == (True, "length", ["hi"])
    assert reader.exchange.fresh == 0, "a body has no gaps"
