"""Framing requests to the byte, and refusing to frame what two parsers could read differently."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchtower.exchanges.requests import MAX_HEAD_BYTES, End, Opacity, Piece, RequestFramer, RequestHead

GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /v1/completions HTTP/1.1\r\nContent-Length: 5\r\nX-Team: blue\r\n\r\nhello"
CHUNKED = (
    b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n"
)


def frame(*reads: bytes, tag_header: str = "") -> tuple[RequestFramer, list[Piece]]:
    framer = RequestFramer(tag_header)
    pieces: list[Piece] = []
    for data in reads:
        framer.receive(data)
        while (piece := framer.next_piece()) is not None:
            pieces.append(piece)
    return framer, pieces


def wire(pieces: list[Piece]) -> bytes:
    return b"".join(p.raw if isinstance(p, RequestHead) else p if isinstance(p, bytes) else b"" for p in pieces)


def heads(pieces: list[Piece]) -> list[str]:
    return [f"{piece.method} {piece.target.decode()}" for piece in pieces if isinstance(piece, RequestHead)]


def test_pipelined_requests_are_told_apart() -> None:
    framer, pieces = frame(GET + POST + CHUNKED + GET)

    assert heads(pieces) == ["GET /health", "POST /v1/completions", "POST /v1/completions", "GET /health"]
    assert pieces.count(End.OF_REQUEST) == 4
    assert wire(pieces) == GET + POST + CHUNKED + GET
    assert framer.between_requests


def test_no_byte_of_a_request_is_yielded_before_its_head_is_complete() -> None:
    framer, pieces = frame(GET + POST[:40])

    assert wire(pieces) == GET
    assert framer.buffered == 40


def test_nothing_of_the_next_request_is_yielded_with_the_one_before() -> None:
    framer = RequestFramer()
    framer.receive(POST + GET)
    assert isinstance(framer.next_piece(), RequestHead)
    assert framer.next_piece() == b"hello"
    assert framer.next_piece() is End.OF_REQUEST
    assert framer.between_requests
    assert framer.buffered == len(GET)


def heads_a_turn(head: bytes) -> int:
    framer = RequestFramer()
    framer.receive(head * 20)
    found = 0
    while not framer.spent and (piece := framer.next_piece()):
        found += isinstance(piece, RequestHead)
    return found


def test_a_turn_has_fewer_heads_the_longer_they_and_their_targets_are() -> None:
    assert heads_a_turn(GET) > 10
    assert heads_a_turn(b"GET /%b HTTP/1.1\r\n\r\n" % (b"%61" * 600)) <= 2
    assert heads_a_turn(b"GET / HTTP/1.1\r\n%b\r\n" % (b"Upgrade: y\r\n" * 5000)) == 1


def test_the_class_of_traffic_is_read_from_its_header() -> None:
    _, pieces = frame(POST, tag_header="x-team")
    assert isinstance(pieces[0], RequestHead)
    assert pieces[0].tag == "blue"


def test_empty_lines_before_a_request_are_kept() -> None:
    _, pieces = frame(b"\r\n\r\n" + GET)
    assert heads(pieces) == ["GET /health"]
    assert wire(pieces) == b"\r\n\r\n" + GET


AMBIGUOUS = {
    "both length headers": b"POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
    "two equal lengths": b"POST / HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\n",
    "a list of lengths": b"POST / HTTP/1.1\r\nContent-Length: 4, 4\r\n\r\n",
    "a signed length": b"POST / HTTP/1.1\r\nContent-Length: +4\r\n\r\n",
    "a coding besides chunked": b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nHost: x\n\n",
    "one bare LF": b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
    "bare CR": b"GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n",
    "obs-fold": b"GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n",
    "space before the colon": b"GET / HTTP/1.1\r\nContent-Length : 4\r\n\r\n",
    "NUL": b"GET / HTTP/1.1\r\nHost: \x00\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\n\r\n",
    "not HTTP": b"\x00\x01\x02",
    "a head without end": b"GET / HTTP/1.1\r\nA: " + b"a" * MAX_HEAD_BYTES,
}


@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_two_parsers_could_read_differently_is_not_framed_but_still_yielded(data: bytes) -> None:
    framer, pieces = frame(GET + data)

    assert framer.opacity is Opacity.MALFORMED
    assert heads(pieces) == ["GET /health"]
    assert wire(pieces) == GET + data


@pytest.mark.parametrize(
    "body", [b"x\r\n", b"5\nhello", b"5\r\nhelloXX", b"-1\r\n", b"5 5\r\n", b"\r\n", b"0\r\nbad trailer\r\n"]
)
def test_a_broken_chunk_makes_the_rest_opaque(body: bytes) -> None:
    head = CHUNKED[: CHUNKED.index(b"\r\n\r\n") + 4]
    framer, pieces = frame(head + body + GET)

    assert framer.opacity is Opacity.MALFORMED
    assert heads(pieces) == ["POST /v1/completions"]
    assert wire(pieces) == head + body + GET


@pytest.mark.parametrize("data", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00"])
def test_other_protocols_are_recognised_by_their_first_bytes(data: bytes) -> None:
    framer, pieces = frame(data)

    assert framer.opacity is Opacity.TUNNEL
    assert wire(pieces) == data


@given(requests=st.lists(st.sampled_from([GET, POST, CHUNKED, *AMBIGUOUS.values()]), max_size=5), data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_byte_is_lost_or_changed_and_cutting_changes_no_head(requests: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(requests)[: 2 * MAX_HEAD_BYTES]
    places = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=8)) | {0, len(stream)})
    reads = [stream[a:b] for a, b in itertools.pairwise(places)]
    whole, pieces = frame(stream)
    framer, cut_pieces = frame(*reads)

    assert len(wire(cut_pieces)) + framer.buffered == len(stream)
    assert stream.startswith(wire(cut_pieces))
    assert heads(cut_pieces) == heads(pieces)
    assert framer.opacity is whole.opacity
