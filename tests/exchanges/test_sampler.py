"""Text is gathered only where it was ordered, only of what ended well, and never beyond its bounds."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from watchtower.exchanges.choices import ChoiceBody, ChoiceStream
from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.dialects import DIALECTS
from watchtower.exchanges.dialects.openai_chat import OPENAI_CHAT
from watchtower.exchanges.dialects.openai_completions import OPENAI_COMPLETIONS
from watchtower.exchanges.exchange import Exchange, ExchangeTable
from watchtower.exchanges.sampler import MOST_HELD, Sampler
from watchtower.vocabulary.facts import Ending
from watchtower.vocabulary.samples import SampleOrder, prompt_hash

KEY = b"k" * 16
QUESTION = "Name three rivers."
ALL = SampleOrder(ratio=1.0, key=KEY)
MATCHING = SampleOrder(
    ratio=0, questions={prompt_hash(QUESTION.encode(), KEY): "rivers"}, longest_question=len(QUESTION), key=KEY
)


class Worker:
    def __init__(self, order: SampleOrder | None) -> None:
        self.counted: Counter[str] = Counter()
        self.sampler = Sampler(lambda name: self.counted.update([name]))
        self.table = ExchangeTable("0.1")
        if order is not None:
            self.sampler.obey(order)

    def asked(self, dialect: Dialect = OPENAI_CHAT, **body: Any) -> Exchange:
        exchange = self.table.begin(1, dialect.routes[0])
        if "messages" not in body and "prompt" not in body:
            body["messages"] = [{"role": "user", "content": QUESTION}]
        self.sampler.consider(exchange, dialect, json.dumps({"model": "m", "temperature": 0, **body}).encode())
        return exchange


def stream(exchange: Exchange, *pieces: str) -> None:
    exchange.status = 200
    reader = ChoiceStream(exchange)
    for piece in pieces:
        event = json.dumps({"model": "m", "choices": [{"index": 0, "delta": {"content": piece}}]})
        reader.feed(f"data: {event}\n\n".encode())
    last = json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    reader.feed(f"data: {last}\n\ndata: [DONE]\n\n".encode())
    exchange.close(Ending.COMPLETE, 9)


def test_nothing_is_gathered_without_an_order() -> None:
    worker = Worker(None)
    exchange = worker.asked()

    assert exchange.sample is None


def test_a_sampled_stream_is_told_with_its_question_and_its_answer() -> None:
    worker = Worker(ALL)
    stream(worker.asked(), "The Nile", ", the Amazon")
    (sample,) = worker.sampler.take()

    assert (sample.question, sample.answer, sample.finish_reason) == (QUESTION, "The Nile, the Amazon", "stop")
    assert sample.chosen
    assert worker.sampler.take() == []


def test_a_body_in_one_piece_is_sampled_too() -> None:
    worker = Worker(ALL)
    exchange = worker.asked(OPENAI_COMPLETIONS, prompt="Once", messages=None)
    reader = ChoiceBody(exchange)
    reader.feed(b'{"choices": [{"text": " upon a time", "finish_reason": "length"}]}')
    reader.finish()
    exchange.close(Ending.COMPLETE, 9)

    assert [(sample.question, sample.answer, sample.finish_reason) for sample in worker.sampler.take()] == [
        ("Once", " upon a time", "length")
    ]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_only_dialects_that_tell_what_is_asked_are_sampled(dialect: Dialect) -> None:
    assert (Worker(ALL).asked(dialect).sample is not None) == (dialect.asked is not None)


def test_about_the_ordered_share_is_taken() -> None:
    worker = Worker(SampleOrder(ratio=0.1, key=KEY))
    for _ in range(2000):
        exchange = worker.asked()
        if exchange.sample is not None:
            exchange.close(Ending.COMPLETE, 9)
            worker.sampler.take()

    assert 150 < worker.counted["sampled"] < 250


def test_a_greedy_request_that_asks_a_references_question_is_taken_whatever_the_share_is() -> None:
    worker = Worker(MATCHING)
    stream(worker.asked(max_tokens=5, stream=True), "The Nile")

    assert [(sample.reference, sample.chosen) for sample in worker.sampler.take()] == [("rivers", False)]


@pytest.mark.parametrize(
    "body",
    [
        {"temperature": 0.7},
        {"temperature": None},
        {"n": 2},
        {"tools": []},
        {"stop": ["x"]},
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}]},
        {"messages": [{"role": "user", "content": QUESTION + " "}]},
        {"messages": [{"role": "user", "content": "\ud800"}]},
        {"messages": [], "prompt": QUESTION},
        {"messages": [{"role": "user", "content": QUESTION}], "x": "y" * 4000},
    ],
)
def test_what_could_be_answered_otherwise_is_no_reference(body: dict[str, Any]) -> None:
    assert Worker(MATCHING).asked(**body).sample is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"messages": 7}', b'{"messages": [{"content": {}}]}', b"\xff"])
def test_a_request_that_cannot_be_read_is_no_sample(content: bytes) -> None:
    worker = Worker(SampleOrder(ratio=1.0, questions=MATCHING.questions, longest_question=99, key=KEY))
    exchange = worker.table.begin(1, "/v1/chat/completions")
    worker.sampler.consider(exchange, OPENAI_CHAT, content)

    assert exchange.sample is None


@pytest.mark.parametrize("ending", [Ending.TRUNCATED, Ending.CLIENT_LEFT, Ending.ERROR, Ending.UNOBSERVED])
def test_what_did_not_end_well_is_forgotten(ending: Ending) -> None:
    worker = Worker(ALL)
    worker.asked().close(ending, 9)

    assert worker.sampler.take() == []
    assert worker.counted["samples_skipped"] == 1


def test_text_is_cut_at_its_bound_and_says_so() -> None:
    worker = Worker(SampleOrder(ratio=1.0, text_characters=10, key=KEY))
    stream(worker.asked(), "123456", "789012", "3")
    (sample,) = worker.sampler.take()

    assert (sample.answer, sample.cut, len(sample.question)) == ("1234567890", True, 10)


def test_too_many_at_once_are_skipped_and_counted() -> None:
    worker = Worker(ALL)
    taken = [worker.asked().sample is not None for _ in range(MOST_HELD + 3)]

    assert sum(taken) == MOST_HELD
    assert worker.counted["samples_skipped"] == 3


def test_when_the_daemon_is_gone_nothing_is_kept() -> None:
    worker = Worker(ALL)
    under_way = worker.asked()
    stream(worker.asked(), "secret")
    worker.sampler.stop()
    under_way.close(Ending.COMPLETE, 9)

    assert worker.sampler.take() == []
    assert worker.asked().sample is None


def test_a_prompt_is_named_by_a_keyed_hash_and_a_sample_shows_nothing() -> None:
    names = set()
    for key in (b"1" * 16, b"2" * 16):
        worker = Worker(SampleOrder(ratio=1.0, key=key))
        stream(worker.asked(), "secret")
        (sample,) = worker.sampler.take()
        names.add(sample.prompt)
        assert QUESTION not in repr(sample)
        assert "secret" not in repr(sample)

    assert len(names) == 2
