"""Late is not lost, not reordered, and not retimed; and never so late that an ending is not known."""

from __future__ import annotations

from tests.exchanges.streams import DONE, STREAM_HEAD, chat, event
from tests.exchanges.test_responses import MILLISECOND, Observed
from watchtower.exchanges.answer_reading import MOST_STRANGERS
from watchtower.exchanges.backlog import MOST, MOST_BYTES, Backlog
from watchtower.exchanges.dialects.openai_chat import OPENAI_CHAT
from watchtower.exchanges.exchange import ExchangeTable
from watchtower.exchanges.responses import ResponseReader
from watchtower.vocabulary.facts import Ending


class Notes:
    def __init__(self) -> None:
        self.read: list[tuple[list[bytes], int]] = []

    def read_late(self, chunks: list[bytes], ns: int) -> None:
        self.read.append((chunks, ns))


def token(text: str = "a") -> bytes:
    payload = event(chat({"content": text}))
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def streaming() -> Observed:
    """The head and the first token were read by the parser; the next reads may be put off."""
    return Observed().read(STREAM_HEAD, token())


def test_a_full_backlog_is_read_at_once() -> None:
    backlog, notes = Backlog(), Notes()
    for n in range(MOST - 1):
        backlog.add(notes, [b"x"], n, 1)
    assert notes.read == []

    backlog.add(notes, [b"y"], MOST, 1)

    assert [ns for _, ns in notes.read] == [*range(MOST - 1), MOST]
    assert not backlog


def test_many_chunks_of_one_read_count_each() -> None:
    backlog, notes = Backlog(), Notes()

    backlog.add(notes, [b"x"] * MOST, 1, MOST)

    assert len(notes.read) == 1


def test_long_chunks_do_not_pile_up() -> None:
    backlog, notes = Backlog(), Notes()
    backlog.add(notes, [b"x"], 1, MOST_BYTES - 1)
    assert notes.read == []

    backlog.add(notes, [b"y"], 2, 1)

    assert [ns for _, ns in notes.read] == [1, 2]
    backlog.add(notes, [b"z"], 3, MOST_BYTES - 1)
    assert len(backlog) == 1, "it counts anew"


def test_a_whole_chunk_waits_and_keeps_the_instant_of_its_read() -> None:
    observed = streaming().read(token("b"), token("c"))
    assert len(observed.table.backlog) == 2

    news = observed.news

    assert news.gaps_ns == [MILLISECOND, MILLISECOND]
    assert news.tokens == [1, 1]


def test_what_waits_is_news() -> None:
    observed = streaming()
    observed.table.drain()
    assert not observed.table.has_news

    observed.read(token("b"))

    assert observed.table.has_news


def test_the_chunks_of_one_read_share_its_gap() -> None:
    observed = streaming().read(token("b") + token("c"))

    assert (observed.news.gaps_ns, observed.exchange.gaps_waiting) == ([MILLISECOND], 0)


def test_the_end_of_an_answer_is_known_at_once_and_after_what_was_put_off() -> None:
    observed = streaming().read(token("b"))
    last = b"%x\r\n%b\r\n0\r\n\r\n" % (len(DONE), DONE)

    observed.read(last)

    assert not observed.reader.awaited
    assert not observed.table.backlog
    news = observed.news
    assert news.closed is not None
    assert (news.closed.ending, news.first_tokens + sum(news.tokens)) == (Ending.COMPLETE, 2)


def test_an_end_marker_that_was_put_off_counts_when_the_client_leaves() -> None:
    observed = streaming().read(b"%x\r\n%b\r\n" % (len(DONE), DONE))

    observed.reader.end(Ending.CLIENT_LEFT, observed.ns)

    closed = observed.news.closed
    assert closed is not None
    assert closed.ending is Ending.COMPLETE


def test_tokens_that_were_put_off_count_when_the_engine_goes_away() -> None:
    observed = streaming().read(token("b"))

    assert not observed.reader.eof(observed.ns)

    news = observed.news
    assert news.closed is not None
    assert (news.closed.ending, sum(news.tokens)) == (Ending.TRUNCATED, 1)


def test_a_stream_in_another_dialect_that_was_put_off_is_closed_when_it_is_read() -> None:
    observed = Observed()
    hello = b"d\r\ndata: hello\n\n\r\n"
    observed.read(STREAM_HEAD, b"d\r\n: keep-alive\n\r\n", b"7\r\nhello\n\n\r\n", *[hello] * MOST_STRANGERS)
    assert observed.table.open

    news = observed.news

    assert news.closed is not None
    assert news.closed.ending is Ending.UNOBSERVED
    assert observed.counted["responses_unobserved"] == 1
    assert observed.reader.awaited, "its framing is followed all the same"
    observed.read(b"0\r\n\r\n")
    assert not observed.reader.awaited


def test_two_exchanges_do_not_mix() -> None:
    table = ExchangeTable("0.1")
    readers = [ResponseReader(lambda name: None) for _ in range(2)]
    for reader in readers:
        reader.expect("POST", table.begin(1, "/v1/chat/completions"), OPENAI_CHAT)
        reader.feed(STREAM_HEAD + token(), 1)
    for ns, reader in enumerate([readers[0], readers[1], readers[0]], start=2):
        reader.feed(token("b"), ns)

    assert [news.gaps_ns for news in table.drain()] == [[1, 2], [2]]


def test_a_size_line_in_two_reads_is_followed_even_where_its_second_half_looks_like_a_chunk() -> None:
    lookalike = b"5\r\nhello\r\n"
    rest = b": 21 bytes in\n"
    observed = Observed().read(STREAM_HEAD, token() + b"1", lookalike, rest + b"\r\n", token("b"), b"0\r\n\r\n")

    news = observed.news
    assert not observed.reader.awaited
    assert news.first_tokens + sum(news.tokens) == 2
    assert observed.counted["responses_malformed"] == 0


def test_content_that_looks_like_a_chunk_is_content() -> None:
    before, lookalike = b": a comment\r\n", b"5\r\nhello\r\n"
    size_line = b"%x\r\n" % (len(before) + len(lookalike))
    observed = streaming().read(size_line + before, lookalike, b"\r\n", token("b"), b"0\r\n\r\n")

    news = observed.news
    assert not observed.reader.awaited
    assert news.first_tokens + sum(news.tokens) == 2
    assert observed.counted["responses_malformed"] == 0


def test_an_answer_that_ends_with_its_connection_has_what_was_put_off() -> None:
    observed = streaming().read(token("b"), b"%x\r\n%b\r\n" % (len(DONE), DONE))

    observed.reader.eof(observed.ns)

    assert not observed.table.backlog
    assert sum(observed.news.tokens) == 1
