"""Reading answers: totals do not depend on how the bytes were cut, and nothing that is sent can raise."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.exchanges.engine_streams import FROM_DOCUMENTS
from tests.exchanges.recorded import RECORDED_FROM_ENGINES
from tests.exchanges.streams import (
    CHAT_ESTIMATED,
    CHAT_TOKEN_IDS,
    DONE,
    MESSAGES,
    RECORDED,
    STREAM_HEAD,
    Recorded,
    chat,
    chunked,
    event,
)
from watchtower.exchanges.answer_reading import MOST_STRANGERS
from watchtower.exchanges.dialect import Dialect
from watchtower.exchanges.dialects import DIALECTS
from watchtower.exchanges.dialects.openai_chat import OPENAI_CHAT
from watchtower.exchanges.dialects.openai_completions import OPENAI_COMPLETIONS
from watchtower.exchanges.exchange import ExchangeTable
from watchtower.exchanges.responses import MOST_AT_ONCE, ResponseReader
from watchtower.vocabulary.facts import Ending, ExchangeNews

MILLISECOND = 1_000_000
FIRST = event(chat({"content": "a"}))
EVERY = (*RECORDED, *FROM_DOCUMENTS, *RECORDED_FROM_ENGINES)


class Observed:
    """One exchange, fed with reads a millisecond apart."""

    def __init__(self, dialect: Dialect = OPENAI_CHAT) -> None:
        self.counted: Counter[str] = Counter()
        self.table = ExchangeTable("0.1")
        self.reader = ResponseReader(lambda name: self.counted.update([name]))
        self.exchange = self.table.begin(MILLISECOND, dialect.routes[0])
        self.reader.expect("POST", self.exchange, dialect)
        self.ns = MILLISECOND

    def read(self, *reads: bytes) -> Observed:
        for data in reads:
            self.ns += MILLISECOND
            more = self.reader.feed(data, self.ns)
            while more:
                more = self.reader.go_on()
        return self

    @property
    def news(self) -> ExchangeNews:
        news = self.table.drain()
        assert len(news) == 1
        return news[0]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(marks)]


def totals(news: ExchangeNews) -> tuple[object, ...]:
    assert news.closed is not None
    closed = news.closed
    return (
        news.first_tokens + sum(news.tokens) + news.more_tokens,
        news.estimated,
        closed.ending,
        closed.completion_tokens,
        closed.finish_reason,
    )


@pytest.mark.parametrize("recorded", EVERY, ids=lambda recorded: recorded.name)
def test_an_answer_is_counted_as_its_engine_meant_it(recorded: Recorded) -> None:
    observed = Observed(recorded.dialect).read(recorded.wire)

    assert totals(observed.news) == (
        recorded.tokens,
        recorded.estimated,
        recorded.ending,
        recorded.completion_tokens,
        recorded.finish_reason,
    )
    assert not observed.reader.awaited
    assert not observed.table.open


@pytest.mark.parametrize("recorded", EVERY, ids=lambda recorded: recorded.name)
def test_totals_are_the_same_when_every_byte_is_a_read_of_its_own(recorded: Recorded) -> None:
    whole = Observed(recorded.dialect).read(recorded.wire)
    bytewise = Observed(recorded.dialect).read(*(recorded.wire[i : i + 1] for i in range(len(recorded.wire))))

    assert totals(bytewise.news) == totals(whole.news)


@given(recorded=st.sampled_from(EVERY), places=st.lists(st.integers(0, 5000), max_size=12))
@settings(max_examples=150, deadline=None)
def test_totals_are_the_same_however_the_stream_is_cut(recorded: Recorded, places: list[int]) -> None:
    whole, pieces = Observed(recorded.dialect).read(recorded.wire), Observed(recorded.dialect)

    assert totals(pieces.read(*cut(recorded.wire, places)).news) == totals(whole.news)


def body_of(recorded: Recorded) -> bytes:
    """What the chunks of a recorded stream carry."""
    rest, body = recorded.wire.removeprefix(STREAM_HEAD), b""
    while rest:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line, 16)
        body, rest = body + rest[:size], rest[size + 2 :]
    return body


STREAMED = [recorded for recorded in RECORDED if recorded.wire.startswith(STREAM_HEAD)]


@pytest.mark.parametrize("recorded", STREAMED, ids=lambda recorded: recorded.name)
def test_totals_are_the_same_wherever_the_engine_ends_a_chunk(recorded: Recorded) -> None:
    """Every place, those between CR and LF too, each chunk a read of its own."""
    whole, body = totals(Observed(recorded.dialect).read(recorded.wire).news), body_of(recorded)

    for place in range(1, len(body)):
        first, second = chunked(body[:place]).removesuffix(b"0\r\n\r\n"), chunked(body[place:])
        assert totals(Observed(recorded.dialect).read(STREAM_HEAD, first, second).news) == whole, body[:place][-20:]


@given(recorded=st.sampled_from(STREAMED), places=st.lists(st.integers(0, 5000), max_size=12))
@settings(max_examples=150, deadline=None)
def test_totals_are_the_same_however_the_engine_chunks_its_stream(recorded: Recorded, places: list[int]) -> None:
    pieces = [piece for piece in cut(body_of(recorded), places) if piece]
    wire = STREAM_HEAD + chunked(*pieces)

    assert totals(Observed(recorded.dialect).read(wire).news) == totals(
        Observed(recorded.dialect).read(recorded.wire).news
    )


@given(
    recorded=st.sampled_from(EVERY),
    seed=st.integers(0, 2**32),
    places=st.lists(st.integers(0, 5000), max_size=6),
)
@settings(max_examples=200, deadline=None)
def test_no_mutilated_stream_raises(recorded: Recorded, seed: int, places: list[int]) -> None:
    dice = random.Random(seed)
    data = bytearray(recorded.wire)
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(len(data))
        match dice.randrange(3):
            case 0:
                data[at] = dice.randrange(256)
            case 1:
                del data[at : at + dice.randint(1, 20)]
            case _:
                data[at:at] = bytes(dice.randrange(256) for _ in range(dice.randint(1, 10)))
        if not data:
            break
    observed = Observed(recorded.dialect).read(*cut(bytes(data), places))
    observed.reader.eof(observed.ns + 1)

    if observed.reader.in_sync:
        assert not observed.table.open, "whatever came, the exchange ended with its connection"


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_every_dialect_has_a_recorded_stream_that_the_tests_above_cut(dialect: Dialect) -> None:
    assert any(recorded.dialect is dialect and (recorded.tokens or not dialect.timed) for recorded in EVERY)


def test_a_stream_in_the_dialect_of_another_route_is_not_counted() -> None:
    observed = Observed().read(MESSAGES.wire)

    assert totals(observed.news)[:3] == (0, False, Ending.UNOBSERVED)


def test_tokens_of_one_read_share_its_gap_and_the_first_read_has_none() -> None:
    pair = event(chat({"content": "a"})) + event(chat({"content": "b"}))
    single = event(chat({"content": "c"}))
    observed = Observed()
    observed.read(STREAM_HEAD)  # 2 ms
    observed.read(b"%x\r\n" % len(single) + single + b"\r\n")  # 3 ms: one token
    observed.read(b"%x\r\n" % len(pair) + pair + b"\r\n")  # 4 ms: two tokens
    observed.read(b"%x\r\n" % len(single) + single[:10])  # 5 ms: half a token is none
    observed.read(single[10:] + b"\r\n")  # 6 ms

    news = observed.news
    assert news.first_token_at == pytest.approx(0.003)
    assert (news.first_tokens, news.gaps_ns, news.tokens) == (1, [MILLISECOND, 2 * MILLISECOND], [2, 1])
    assert news.last_token_at == pytest.approx(0.006)


def test_the_role_event_is_not_the_first_token() -> None:
    role = event(chat({"role": "assistant", "content": ""}))
    observed = Observed().read(STREAM_HEAD + b"%x\r\n" % len(role) + role + b"\r\n")

    assert observed.news.first_token_at is None


def test_the_answer_names_model_and_kind() -> None:
    opened = Observed().read(CHAT_TOKEN_IDS.wire).news.opened

    assert opened is not None
    assert (opened.model, opened.stream) == ("m", True)


def test_an_upstream_that_goes_away_in_mid_answer_truncates_it() -> None:
    observed = Observed().read(CHAT_ESTIMATED.wire[: CHAT_ESTIMATED.wire.index(b"tool_calls")])

    assert not observed.reader.eof(observed.ns)
    closed = observed.news.closed
    assert closed is not None
    assert closed.ending is Ending.TRUNCATED


def test_an_answer_without_length_ends_with_its_connection() -> None:
    body = event(chat({"content": "a"})) + event("[DONE]")
    observed = Observed().read(b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", body)

    assert observed.reader.eof(observed.ns)
    assert totals(observed.news)[:3] == (1, True, Ending.COMPLETE)


def test_a_client_that_leaves_after_the_last_event_got_everything() -> None:
    wire = CHAT_ESTIMATED.wire.removesuffix(b"0\r\n\r\n")
    left_late, left_early = Observed().read(wire), Observed().read(wire[: wire.index(b"tool_calls")])

    for observed in (left_late, left_early):
        observed.reader.end(Ending.CLIENT_LEFT, observed.ns)

    assert totals(left_late.news)[2] is Ending.COMPLETE
    assert totals(left_early.news)[2] is Ending.CLIENT_LEFT


def test_a_head_answer_has_no_body_whatever_its_length_says() -> None:
    observed = Observed()
    observed.reader.end(Ending.COMPLETE, 1)
    awaited = []
    for method, reads in (
        ("HEAD", (b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 1000\r\n\r\n")),
        ("GET", (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh", b"i")),
    ):
        observed.reader.expect(method, None)
        for data in reads:
            observed.read(data)
            awaited.append(observed.reader.awaited)

    assert awaited == [True, False, True, False]
    assert observed.reader.in_sync


@pytest.mark.parametrize("size", [1, 7, 1_000_000])
def test_any_number_of_interim_answers_comes_before_the_answer_to_head(size: int) -> None:
    observed = Observed()
    observed.reader.end(Ending.COMPLETE, 1)
    observed.reader.expect("HEAD", None)
    wire = b"HTTP/1.1 100 Continue\r\n\r\n" * 2000 + b"HTTP/1.1 204 No Content\r\n\r\n"
    for begin in range(0, len(wire), size):
        assert observed.reader.awaited
        observed.read(wire[begin : begin + size])

    assert (observed.reader.awaited, observed.reader.status) == (False, 204)


def test_an_interim_answer_is_not_the_answer() -> None:
    observed = Observed().read(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert observed.reader.awaited

    assert totals(observed.read(CHAT_TOKEN_IDS.wire).news)[0] == CHAT_TOKEN_IDS.tokens


def test_answers_on_one_connection_are_kept_apart() -> None:
    observed = Observed().read(CHAT_ESTIMATED.wire)
    second = observed.table.begin(observed.ns, "/v1/completions")
    observed.reader.expect("POST", second, OPENAI_COMPLETIONS)
    observed.read(CHAT_TOKEN_IDS.wire)

    assert [totals(news)[0] for news in observed.table.drain()] == [3, 6]


def test_what_is_not_http_is_counted_and_the_exchange_is_not_left_open() -> None:
    observed = Observed().read(b"SSH-2.0-OpenSSH_9.2\r\n")

    assert not observed.reader.in_sync
    assert observed.counted == {"responses_malformed": 1}
    assert totals(observed.news)[2] is Ending.UNOBSERVED


def test_an_unreadable_event_among_good_ones_is_counted_and_the_rest_still_counts() -> None:
    good, bad = event(chat({"content": "a"})), b"data: {oops\n\n"
    body = good + bad + good + event("[DONE]")
    wire = STREAM_HEAD + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    observed = Observed().read(wire)

    assert totals(observed.news)[:3] == (2, True, Ending.COMPLETE)
    assert observed.counted == {"events_malformed": 1}


def test_a_stream_in_another_dialect_is_never_read_as_hung() -> None:
    body = b"data: tick\n\n" * MOST_STRANGERS
    observed = Observed().read(STREAM_HEAD + b"%x\r\n" % len(body) + body + b"\r\n")

    assert observed.counted == {"responses_unobserved": 1}
    assert not observed.table.open


def test_an_accepted_upgrade_is_reported() -> None:
    observed = Observed().read(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n\x00\x01")

    assert observed.reader.switched
    assert not observed.table.open


def long_read() -> bytes:
    """A stream that was held up: hundreds of tokens in one read."""
    return chunked(*(event(chat({"content": "a"})) for _ in range(400)), event(chat({}, finish="stop")), DONE)


def test_a_long_read_is_gone_through_in_pieces_and_its_tokens_share_one_gap() -> None:
    observed = Observed().read(STREAM_HEAD + b"%x\r\n%b\r\n" % (len(FIRST), FIRST))
    read = long_read()
    assert len(read) > 5 * MOST_AT_ONCE

    observed.ns += MILLISECOND
    more, pieces = observed.reader.feed(read, observed.ns), 1
    while more:
        assert observed.reader.awaited, "the end is in the last piece"
        more = observed.reader.go_on()
        pieces += 1

    news = observed.news
    assert pieces == -(-len(read) // MOST_AT_ONCE)
    assert (news.first_tokens, news.gaps_ns, news.tokens) == (1, [MILLISECOND], [400])
    assert news.closed is not None
    assert news.closed.ending is Ending.COMPLETE


@pytest.mark.parametrize("left", [True, False], ids=["the client left", "the engine closed"])
def test_whoever_ends_it_in_the_middle_of_a_long_read_it_has_ended_as_that_says(left: bool) -> None:
    observed = Observed().read(STREAM_HEAD)
    assert observed.reader.feed(long_read(), observed.ns)

    if left:
        assert observed.reader.end(Ending.CLIENT_LEFT, observed.ns) is Ending.COMPLETE
    else:
        assert observed.reader.eof(observed.ns)

    news = observed.news
    assert news.closed is not None
    assert (news.closed.ending, news.first_tokens) == (Ending.COMPLETE, 400)


def test_nothing_of_a_long_read_is_left_once_its_framing_is_lost() -> None:
    observed = Observed().read(STREAM_HEAD)

    assert not observed.reader.feed(b"no size\r\n" + long_read(), observed.ns)

    assert not observed.reader.in_sync
