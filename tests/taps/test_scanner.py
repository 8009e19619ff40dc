"""Requests are found in unframed bytes, wherever they begin; words of a prompt are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchtower.taps.guard import Guard
from watchtower.taps.scanner import MOST_ASKED, MOST_NESTED, MOST_TARGET_BYTES, Scanner

REQUESTS = [
    b"POST /sleep HTTP/1.1\r\n",
    b"POST /sl%65ep HTTP/1.1\r\n",
    b"POST   \t /sleep HTTP/1.1\r\n",
    b"POST http://e/sleep?level=1 HTTP/1.1\r\n",
    b"POST /x/../sleep\r\n",
    b"PURGE //sleep\n",
    b"post /sleep HTTP/1.1\r\n",
    b"POST %2Fsleep \r\n",
    b"a POST /sleep HTTP/1.1\r\n",
    b"A B/POST /sleep HTTP/1.1\r\n",
    b"AAA POST\t/b POST /sleep HTTP/1.1\r\n",
    b"\x00\xffPOST /sleep HTTP/1.1\r\n",
    b"POST " + b"a" * 40 + b"://e/sleep HTTP/1.1\r\n",
    b"POST \t" + b"a+.-" * 60 + b"://e/sleep HTTP/1.1\r\n",
]
PROSE = [
    b'{"prompt": "my CV: https://me.example/resume.pdf"} ',
    b'{"prompt": "the path /sleep is dangerous"} ',
    b'{"prompt": "POST /sleepy hollow"} ',
    b'{"prompt": "see http://e/sleep or http://e/pause for more"} ',
    b"POST /v1/completions?next=/sleep HTTP/1.1\r\n",
    b"GET data:image/png;base64," + b"QUJD" * MOST_TARGET_BYTES + b"\r\n",
    b"SOS " + b"QUJD" * MOST_TARGET_BYTES,
]


def found(data: bytes, *cuts: int) -> int | None:
    """In which of its reads the scanner stops it."""
    scanner = Scanner(Guard().refuses_request)
    ends = [*cuts, len(data)]
    for number, (begin, end) in enumerate(zip([0, *cuts], ends, strict=True)):
        if scanner.finds(data[begin:end]):
            return number
    return None


@pytest.mark.parametrize("data", REQUESTS)
def test_a_request_is_found_wherever_reads_cut_it(data: bytes) -> None:
    assert found(data) == 0
    for cut in range(1, len(data)):
        assert found(data, cut) is not None
    assert found(data, *range(1, len(data))) is not None


@pytest.mark.parametrize("data", REQUESTS)
def test_no_byte_after_its_target_is_let_through(data: bytes) -> None:
    stopped = found(data, *range(1, len(data)))
    assert stopped is not None
    assert Guard().refuses_request("POST", data[:stopped].split()[-1])
    assert data[stopped] in b" \r\n"


@pytest.mark.parametrize("data", [prose for prose in PROSE if b"base64" not in prose])
def test_prose_is_not_taken_for_a_request(data: bytes) -> None:
    assert found(data) is None
    for cut in range(1, len(data), max(1, len(data) // 200)):
        assert found(data, cut) is None


LOOKS = [
    b"GET /v1/models",
    b"GET /props?x=1",
    b"HEAD /lora-adapters",
    b"POST /v1/models/7/generate",
    b"GET /models/sse",
]
CHANGES = [
    b"POST /props",
    b"DELETE /x/models?model=m",
    b"POST\t/props",
    b"GET /props HTTP/1.1\r\n\r\nPOST /props",
    b"POST /%20get%20/../props",
    b"POST /get%0a/../props",
    b"POST /props/x/..",
    b"POST /props%0a",
    b"POST /" + b"./" * 300 + b"props",
    b"POST /" + b"x" * 300 + b"/../props",
]


@pytest.mark.parametrize("line", LOOKS)
def test_looking_passes(line: bytes) -> None:
    assert found(line + b" HTTP/1.1\n\n") is None


@pytest.mark.parametrize("line", CHANGES)
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_a_change_does_not_pass_as_a_look(line: bytes, step: int) -> None:
    data = line + b" HTTP/1.1\n\n"
    assert found(data, *range(step, len(data), step)) is not None


def test_a_target_that_does_not_end_is_refused_unread() -> None:
    assert found(b"POST /" + b"a" * MOST_TARGET_BYTES) == 0
    assert found(b"POST /" + b"a" * MOST_TARGET_BYTES + b" HTTP/1.1") == 0


def test_a_scheme_may_be_as_long_as_it_likes() -> None:
    data = b"POST " + b"a" * 3 * MOST_TARGET_BYTES + b"://e/sleep \r\n"
    assert found(data, *range(1000, len(data), 1000)) is not None


@pytest.mark.parametrize("end", [b"", b" x", b"\r\n"])
def test_targets_within_targets_are_refused_when_they_are_too_many_to_be_judged(end: bytes) -> None:
    judged = []

    def refuses(method: str, target: bytes) -> bool:
        judged.append(target)
        return False

    assert not Scanner(refuses).finds(b"A\t/" * MOST_NESTED + b" x")
    assert Scanner(refuses).finds(b"A\t/" * 2000 + end)
    assert len(judged) <= 2 * MOST_NESTED
    assert not Scanner(refuses).finds((b"A\t/ " * 1024)[:1024])


def test_so_are_requests_that_are_too_many() -> None:
    def passes(method: str, target: bytes) -> bool:
        return False

    assert not Scanner(passes).finds(b"A / " * MOST_ASKED)
    assert Scanner(passes).finds(b"A / " * (MOST_ASKED + 1))


@given(before=st.binary(max_size=40), blanks=st.integers(1, 60), cuts=st.sets(st.integers(1, 60), max_size=5))
def test_blanks_and_garbage_hide_nothing(before: bytes, blanks: int, cuts: set[int]) -> None:
    data = before + b"POST" + b" " * blanks + b"/sleep \r\n"
    assert found(data, *sorted(cut for cut in cuts if cut < len(data))) is not None


def test_a_guard_that_is_off_finds_nothing() -> None:
    assert not Scanner(Guard(enabled=False).refuses_request).finds(REQUESTS[0])
