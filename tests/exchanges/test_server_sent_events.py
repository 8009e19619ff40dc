"""Server-sent events, split as they arrive."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchtower.exchanges.server_sent_events import MAX_EVENT_BYTES, EventSplitter
from watchtower.vocabulary.errors import ProtocolFault


def split(*reads: bytes) -> list[bytes]:
    payloads: list[bytes] = []
    splitter = EventSplitter(payloads.append)
    for read in reads:
        splitter.feed(read)
    splitter.finish()
    return payloads


@pytest.mark.parametrize(
    ("stream", "payloads"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\n\r\ndata: b\r\n\n", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data: a\r\ndata: b\r\n\r\n", [b"a\nb"]),
        (b"data: a\rdata: b\r\r", [b"a\nb"]),
        (b"data\n\n", [b""]),
        (b": keep-alive\n\ndata: a\n\n:\n\n", [b"a"]),
        (b"event: message\nid: 7\nretry: 10\ndata: a\n\n", [b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data: a \n\n", [b"a "]),
        (b"data: a\n\n\n\n\ndata: b\n\n", [b"a", b"b"]),
        (b"database: no\n\n", []),
        (b"data: unfinished", [b"unfinished"]),
    ],
)
def test_events_are_split_by_the_standard(stream: bytes, payloads: list[bytes]) -> None:
    assert split(stream) == payloads
    assert split(*(stream[i : i + 1] for i in range(len(stream)))) == payloads


def test_a_cut_between_cr_and_lf_does_not_end_the_event_between_its_lines() -> None:
    assert split(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == [b"a\nb"]
    assert split(b"data: a\r", b"", b"\ndata: b\r\n\r\n") == [b"a\nb"]
    assert split(b"data: a\r", b"data: b\r\r") == [b"a\nb"], "a CR alone is a line end, whatever comes after it"


@given(
    st.lists(st.sampled_from([b"data: x", b"data:", b": c", b"\r", b"\n", b"\r\n", b"data: y\n\n", b"z"])), st.data()
)
def test_cutting_a_stream_changes_nothing(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    places = sorted(data.draw(st.sets(st.integers(0, len(stream)))) | {0, len(stream)})
    reads = [stream[a:b] for a, b in itertools.pairwise(places)]

    assert split(*reads) == split(stream)


@pytest.mark.parametrize("part", [b"x" * 65536, b"data: " + b"x" * 65536 + b"\n"])
def test_an_endless_event_is_not_gathered_for_ever(part: bytes) -> None:
    with pytest.raises(ProtocolFault):
        split(*[part] * (MAX_EVENT_BYTES // 65536 + 2))


@pytest.mark.parametrize("cut", range(1, 24))
def test_a_line_end_cut_between_its_two_bytes_is_still_one(cut: int) -> None:
    """Between two lines of one event, a CR and a LF that arrive in two reads must not end the event."""
    stream = b"data: a\r\ndata: b\r\n\r\n: c\r\n"
    found: list[bytes] = []
    splitter = EventSplitter(found.append)
    splitter.feed(stream[:cut])
    splitter.feed(stream[cut:])
    splitter.finish()
    assert found == [b"a\nb"]
