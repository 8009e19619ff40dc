"""A read is whole chunks or it is not: the parser has the last word on everything else."""

from __future__ import annotations

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchtower.exchanges.chunks import MAX_CHUNK_BYTES, sole_chunk, whole_chunks


def wire(*contents: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(content), content) for content in contents)


@given(st.lists(st.binary(min_size=1, max_size=600), min_size=1, max_size=5))
def test_whole_chunks_are_taken_apart(contents: list[bytes]) -> None:
    assert whole_chunks(wire(*contents)) == contents


@given(st.lists(st.binary(min_size=1, max_size=600), max_size=3), st.binary(max_size=3))
def test_one_chunk_is_told_from_several_and_from_none(contents: list[bytes], more: bytes) -> None:
    text = wire(*contents) + more

    begin = sole_chunk(text)

    assert bool(begin) == (whole_chunks(text) == contents and len(contents) == 1)
    assert not begin or text[begin:-2] == contents[0]


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=3), st.data())
def test_a_read_that_ends_inside_a_chunk_is_not_whole(contents: list[bytes], data: st.DataObject) -> None:
    text = wire(*contents)
    ends = {len(wire(*contents[:n])) for n in range(len(contents) + 1)}
    cut = data.draw(st.integers(0, len(text)).filter(lambda place: place not in ends))

    assert whole_chunks(text[:cut]) == []


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"0\r\n\r\n",
        wire(b"last but one") + b"0\r\n\r\n",
        b"05\r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"1_0\r\n0123456789abcdef\r\n",
        b"A\r\n0123456789\r\n",
        b"5;name=value\r\nhello\r\n",
        b"5\r\nhello\n\n",
        b"5\nhello\r\n",
        b"\r\n",
        b"5\r\nhello\r\n5",
        pytest.param(b"3\r\nabc\r\n5\r", id="a size line that has not ended: no way back to the first chunk"),
        pytest.param(b"1x\r", id="a single line that has not ended"),
        wire(b"x" * (MAX_CHUNK_BYTES + 1)),
    ],
)
def test_every_other_form_is_left_to_the_parser(text: bytes) -> None:
    assert whole_chunks(text) == []


class Body:
    """What the parser makes of a chunked body."""

    def __init__(self, text: bytes) -> None:
        self.body = b""
        self.at_boundary = self.complete = False
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + text)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_chunk_header(self) -> None:
        self.at_boundary = False

    def on_chunk_complete(self) -> None:
        self.at_boundary = True

    def on_message_complete(self) -> None:
        self.complete = True


@given(st.lists(st.sampled_from([b"1", b"2", b"a", b"\r\n", b"x", b"\n", b"0"]), max_size=12))
def test_what_is_called_whole_the_parser_reads_in_the_same_way_and_goes_on(pieces: list[bytes]) -> None:
    text = b"".join(pieces)
    if chunks := whole_chunks(text):
        body = Body(text)
        assert (body.body, body.at_boundary, body.complete) == (b"".join(chunks), True, False)
