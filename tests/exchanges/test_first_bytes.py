"""What an answer is, its first bytes say; nothing is lost while they are held."""

from __future__ import annotations

import pytest

from tests.exchanges.reading import begun, events, lines
from watchtower.exchanges.choices import CHOICES_SHAPE, ChoiceBody, ChoiceStream
from watchtower.exchanges.dialect import MAX_BODY_BYTES
from watchtower.exchanges.dialects.llama_cpp import LLAMA_CPP_SHAPE, LlamaStream
from watchtower.exchanges.dialects.ollama import OLLAMA_SHAPE, OllamaLines
from watchtower.exchanges.first_bytes import FirstBytes, Framing, framing_of, open_as
from watchtower.exchanges.whole_answers import WholeAnswer
from watchtower.vocabulary.errors import ProtocolFault
from watchtower.vocabulary.facts import Ending

CHUNK = {"choices": [{"delta": {"content": "a"}}]}
DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("first", "framing"),
    [
        (b"data: {", Framing.EVENTS),
        (b"\xef\xbb\xbf\r\n\r\nevent: x", Framing.EVENTS),
        (b": keep-alive", Framing.EVENTS),
        (b"retry: 3", Framing.EVENTS),
        (b"data\n", Framing.EVENTS),
        (b'  {"a"', Framing.JSON),
        (b"[1", Framing.JSON),
        (b"null", Framing.JSON),
        (b"<html>", Framing.OTHER),
        (b"database", Framing.OTHER),
        (b"\x1f\x8b", Framing.OTHER),
        (b"", None),
        (b" \r\n", None),
        (b"\xef\xbb", None),
        (b"dat", None),
        (b"e", None),
        (b" " * 4096, None),
        (b" " * 4097, Framing.OTHER),
    ],
)
def test_the_first_bytes_name_the_framing(first: bytes, framing: Framing | None) -> None:
    assert framing_of(first) is framing


def test_everything_that_was_held_reaches_the_reader() -> None:
    exchange = begun()
    reader = FirstBytes(exchange, (CHOICES_SHAPE,))
    for byte in events(CHUNK, CHUNK) + DONE:
        reader.feed(bytes([byte]))
    assert exchange.fresh == 2
    exchange.tokens_read(2)
    reader.finish()

    assert reader.ending() is Ending.COMPLETE


def test_nothing_stands_between_the_bytes_and_the_reader_that_was_found() -> None:
    """It is the hot path: after the first bytes a chunk costs no call more."""
    reader = FirstBytes(begun(), (CHOICES_SHAPE,))
    reader.feed(events(CHUNK))

    assert isinstance(reader._reader, ChoiceStream)
    assert reader.feed == reader._reader.feed


@pytest.mark.parametrize(
    ("body", "reader"),
    [
        (events(CHUNK), ChoiceStream),
        (events(None, {"type": "ping"}, CHUNK), ChoiceStream),
        (events({"index": 0, "tokens_predicted": 1, "stop": False}), LlamaStream),
        (events({"error": {"code": 400}}), ChoiceStream),
        (lines({"done": False}, {"done": True}), OllamaLines),
        (b'{\n  "choices": []\n}', ChoiceBody),
        (b'{"done": true}', OllamaLines),
        (DONE, ChoiceStream),
    ],
)
@pytest.mark.parametrize("step", [1, 5, 10_000])
def test_the_first_object_tells_the_shape_by_its_keys(body: bytes, reader: type, step: int) -> None:
    found = FirstBytes(begun(), (CHOICES_SHAPE, LLAMA_CPP_SHAPE, OLLAMA_SHAPE))
    for begin in range(0, len(body), step):
        found.feed(body[begin : begin + step])
    found.finish()

    assert type(found._reader) is reader


def test_what_no_key_tells_is_not_read() -> None:
    reader = FirstBytes(begun(), (CHOICES_SHAPE, OLLAMA_SHAPE))
    with pytest.raises(ProtocolFault):
        reader.feed(events(*({"mine": n} for n in range(9))))


def test_what_is_neither_events_nor_json_is_not_read_unless_somebody_reads_the_rest() -> None:
    with pytest.raises(ProtocolFault):
        FirstBytes(begun(), (CHOICES_SHAPE,)).feed(b"<html>")
    reader = FirstBytes(begun(), (CHOICES_SHAPE,), lambda exchange: WholeAnswer(exchange, is_json=False))
    reader.feed(b"\xff\xfb\x90")
    reader.finish()

    assert reader.ending() is Ending.COMPLETE


def test_an_answer_of_which_nothing_came_has_not_ended() -> None:
    reader = FirstBytes(begun(), (CHOICES_SHAPE, OLLAMA_SHAPE))
    reader.feed(b"\r\n")
    reader.finish()

    assert (reader.ending(), reader.ended, reader.errored, reader.malformed) == (None, False, False, 0)


def test_what_came_before_a_cut_counts() -> None:
    exchange = begun()
    reader = FirstBytes(exchange, (CHOICES_SHAPE, OLLAMA_SHAPE))
    reader.feed(events(CHUNK)[:-2])
    reader.cut()

    assert (exchange.fresh, reader.ending()) == (1, None)


class Counting(FirstBytes):
    looks = 0

    def _judge(self, payload: bytes) -> None:
        self.looks += 1
        super()._judge(payload)


def test_a_body_over_many_lines_is_looked_at_once() -> None:
    """Looking again with every line would cost the square of its length."""
    reader = Counting(begun(), (CHOICES_SHAPE, OLLAMA_SHAPE))
    for line in (b"{\n", *(b'"a%d": 1,\n' % n for n in range(50)), b'"choices": []}\n'):
        reader.feed(line)
    reader.finish()

    assert reader.looks == 2, "the first line, and all of it"


def test_what_is_held_is_bounded() -> None:
    reader = FirstBytes(begun(), (CHOICES_SHAPE, OLLAMA_SHAPE))
    reader.feed(b"{")
    with pytest.raises(ProtocolFault):
        reader.feed(b" " * MAX_BODY_BYTES)


@pytest.mark.parametrize(
    ("page", "kind", "ending"),
    [
        (b"<html>log in</html>", "text/html", Ending.TRUNCATED),
        (b"Internal Server Error", "application/json", Ending.TRUNCATED),
    ],
)
def test_a_page_where_an_answer_should_be_is_none(page: bytes, kind: str, ending: Ending) -> None:
    reader = open_as(CHOICES_SHAPE)(begun(), kind)
    reader.feed(page)
    reader.finish()
    assert reader.ending() is ending
    assert reader.malformed == 1


def test_other_types_may_be_anything() -> None:
    with pytest.raises(ProtocolFault):
        open_as(CHOICES_SHAPE)(begun(), "application/x-protobuf").feed(b"\x0a\x04")
