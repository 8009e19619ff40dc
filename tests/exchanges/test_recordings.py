"""Real answers of real engines, read as they came: counts, endings and totals are what the engine itself counted."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.exchanges.recordings.answers import RecordedAnswer, recorded_answers
from watchtower.exchanges.dialect import Routes
from watchtower.exchanges.dialects import DIALECTS
from watchtower.exchanges.exchange import ExchangeTable
from watchtower.exchanges.responses import ResponseReader
from watchtower.vocabulary.facts import Closed, Ending, ExchangeNews

SENT_NS = 1_000_000_000
ROUTES = Routes(DIALECTS)
ANSWERS = recorded_answers("vllm-0.32")
GENERATING = [answer for answer in ANSWERS if ROUTES.dialect(answer.path) is not None]
SPECIAL = {"chat-stream-aborted": Ending.FAILED, "chat-stream-core-killed": Ending.ERROR}
"""How answers ended that did not end by themselves."""


def expected_ending(answer: RecordedAnswer) -> Ending:
    return SPECIAL.get(answer.name) or (Ending.COMPLETE if answer.status < 400 else Ending.REFUSED)


class Heard:
    """What became known of an answer."""

    def __init__(self, news: list[ExchangeNews]) -> None:
        assert {some.id for some in news} == {news[0].id}
        self.tokens = sum(some.first_tokens + sum(some.tokens) + some.more_tokens for some in news)
        self.estimated = any(some.estimated for some in news)
        self.gaps = [(gap, tokens) for some in news for gap, tokens in zip(some.gaps_ns, some.tokens, strict=True)]
        (self.closed,) = (some.closed for some in news if some.closed is not None)
        self.opened = next(some.opened for some in reversed(news) if some.opened is not None)
        self.first_at = next((some.first_token_at for some in news if some.first_token_at is not None), None)


def heard(answer: RecordedAnswer, *, drained: bool = True, piece: int = 0) -> Heard:
    """``drained``: take the news after every read. ``piece``: cut into pieces of so many bytes, else as they came."""
    counted: Counter[str] = Counter()
    table, reader = ExchangeTable("0.1"), ResponseReader(lambda name: counted.update([name]))
    dialect = ROUTES.dialect(answer.path)
    assert dialect is not None
    exchange = table.begin(SENT_NS, answer.path)
    dialect.describe(exchange, json.dumps(answer.body).encode())
    reader.expect("POST", exchange, dialect)
    news: list[ExchangeNews] = []
    ns = SENT_NS
    for after, data in answer.reads():
        ns = SENT_NS + after
        for place in range(0, len(data), piece or len(data)):
            more = reader.feed(data[place : place + (piece or len(data))], ns)
            while more:
                more = reader.go_on()
        if drained:
            news.extend(table.drain())
    if reader.awaited:
        reader.eof(ns)
    news.extend(table.drain())
    return Heard(news)


def usage_told(answer: RecordedAnswer) -> bool:
    return b'"usage":{' in answer.wire and (b"completion_tokens" in answer.wire or b"output_tokens" in answer.wire)


def by_name(answers: list[RecordedAnswer]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("answer", answers, ids=lambda answer: answer.name)


def test_there_are_recordings_of_every_form() -> None:
    assert len(ANSWERS) > 50
    assert {answer.path for answer in ANSWERS} >= {"/v1/chat/completions", "/v1/completions", "/v1/responses"}


@by_name(GENERATING)
def test_an_answer_ends_as_its_engine_says(answer: RecordedAnswer) -> None:
    assert heard(answer).closed.ending is expected_ending(answer)


@by_name([answer for answer in GENERATING if usage_told(answer)])
def test_totals_are_what_the_engine_counted(answer: RecordedAnswer) -> None:
    closed: Closed = heard(answer).closed
    assert closed.completion_tokens == answer.generated
    assert answer.counted is not None
    assert closed.prompt_tokens > 0


@by_name([answer for answer in GENERATING if answer.streamed and answer.counted])
def test_tokens_are_counted_exactly_or_said_to_be_estimated(answer: RecordedAnswer) -> None:
    """Text may come later than its token, and several tokens in one event, so an estimate is at most the truth."""
    found = heard(answer)
    if found.estimated:
        assert 0 < found.tokens <= answer.generated
    else:
        assert found.tokens == answer.generated


@by_name([answer for answer in GENERATING if "continuous" in answer.name or "token-ids" in answer.name])
def test_where_the_engine_gives_counts_they_are_used(answer: RecordedAnswer) -> None:
    found = heard(answer)
    assert not found.estimated
    assert found.tokens == answer.generated


@by_name([answer for answer in GENERATING if answer.status < 400])
def test_the_model_is_known(answer: RecordedAnswer) -> None:
    found = heard(answer)
    assert found.opened.model == "tiny"
    assert found.opened.stream is answer.streamed


@by_name([answer for answer in GENERATING if answer.streamed])
def test_the_first_token_comes_with_its_read(answer: RecordedAnswer) -> None:
    instants = {round((SENT_NS + ns) / 1e9, 6) for ns, _ in answer.reads()}
    found = heard(answer)
    assert found.first_at is not None
    assert round(found.first_at, 6) in instants


@by_name([answer for answer in GENERATING if answer.status < 400])
@pytest.mark.parametrize("piece", [1, 7, 1000], ids=lambda piece: f"{piece} bytes")
def test_however_it_is_cut_the_totals_are_the_same(answer: RecordedAnswer, piece: int) -> None:
    if piece == 1 and len(answer.wire) > 10_000:
        piece = 3  # the same for a third of the time
    whole, cut = heard(answer, drained=False), heard(answer, piece=piece)
    assert (cut.tokens, cut.estimated) == (whole.tokens, whole.estimated)
    assert (cut.closed.ending, cut.closed.finish_reason) == (whole.closed.ending, whole.closed.finish_reason)
    assert (cut.closed.completion_tokens, cut.closed.prompt_tokens) == (
        whole.closed.completion_tokens,
        whole.closed.prompt_tokens,
    )
