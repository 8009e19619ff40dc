"""Where requests begin and end inside a client's byte stream (RFC 9112), to the byte.

The framer never changes, adds or loses a byte: joining everything it yields gives back what it received. It yields
a request's head in one piece and only when that head is complete, so its reader can refuse or park a request before
a single byte of it went anywhere. It is stricter than any engine's parser on purpose: whatever two parsers could
frame differently (bare LF, obs-fold, both length headers, two of one) turns the connection *opaque*, for good. Opaque
bytes are yielded as they come, unframed, and it is for the reader to look at them with suspicion. One ambiguity stays
framed, because honest clients send it: an upgrade with a body (``RequestHead.doubtful``).

Nothing here looks twice at a byte that it has seen: a client that sends its request byte by byte, or in chunks of one,
costs what its bytes cost. ``spent`` says when that was enough for one turn of the loop.
"""

from __future__ import annotations

import re
import sys
from enum import Enum, StrEnum
from typing import Final

import msgspec

MAX_HEAD_BYTES: Final = 64 * 1024
"""A longer head is not framed (uvicorn's h11 parser has the same limit)."""
_MAX_CHUNK_LINE_BYTES: Final = 4096
_WARY_BYTES: Final = 1024
"""About the size of a piece whose reader has to look at every word of it."""

MOST_WORK: Final = 1024
"""A turn's worth, in chunk lines: about 2 ms. A KiB of a body counts like a chunk line."""
_HEAD_WORK: Final = 64
_WARY_WORK: Final = 512

# Every repetition is possessive (``++``, ``*+``): none is ever tried a second time, whatever a client thinks up.
_EMPTY_LINES = re.compile(rb"(?:\r\n)*+")
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}+) ([\x21-\xff]++) HTTP/1\.([01])\r\n")
_FIELD: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[^\x00-\x08\x0a-\x1f\x7f]*+\r\n"
_FIELDS = re.compile(rb"(?:%b)*+\r\n" % _FIELD)
_TRAILER = re.compile(rb"\r\n|%b" % _FIELD)
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15}+)[ \t]*+(?:;[^\x00-\x08\x0a-\x1f\x7f]*+)?\r\n")
_LENGTH = re.compile(rb"[0-9]{1,15}")
_TOKEN_BYTES: Final = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_H2_PREFACE: Final = b"PRI * HTTP/2.0"
_TLS: Final = b"\x16\x03"


class Opacity(StrEnum):
    """Why a connection is no longer framed."""

    NONE = ""
    MALFORMED = "malformed"
    """Not HTTP/1.x, or HTTP that two parsers could read differently."""
    TUNNEL = "tunnel"
    """HTTP/2, TLS, or an upgrade that the engine accepted."""


class RequestHead(msgspec.Struct, frozen=True, kw_only=True):
    """A complete request line and header section, the blank line included."""

    raw: bytes
    """Exactly as received, with any empty lines before the request line."""
    method: str
    target: bytes
    """As received: any form, still percent-encoded, with its query."""
    tag: str = ""
    """Value of the header that names the caller's class of traffic."""
    traceparent: str = ""
    """As received (W3C Trace Context); "" without one."""
    content_length: int = 0
    chunked: bool = False
    switches: bool = False
    """It asks for another protocol: ``Upgrade``, or CONNECT."""
    expects: bool = False
    """Its body comes once the engine says that it wants it (``Expect: 100-continue``)."""

    @property
    def doubtful(self) -> bool:
        """Some parsers (llhttp, so uvicorn with httptools) end this request at its head and read its body as the next
        request. The framer does not: what follows is a body to it."""
        return self.switches and (self.chunked or self.content_length > 0)


class End(Enum):
    """The request's last byte has been yielded."""

    OF_REQUEST = "end of request"


Piece = RequestHead | bytes | End


class _FramerState(Enum):
    HEAD = 0
    LENGTH_BODY = 1
    CHUNK_LINE = 2
    CHUNK_DATA = 3
    CHUNK_END = 4
    TRAILER = 5
    OPAQUE = 6


class _Unframed(Exception):
    """Inside this module only: turn opaque."""

    def __init__(self, opacity: Opacity = Opacity.MALFORMED) -> None:
        self.opacity = opacity


class RequestFramer:
    """``receive`` bytes, then ask for the ``next_piece`` until there is none."""

    def __init__(self, tag_header: str = "") -> None:
        self._tag_header = tag_header.lower().encode("latin-1")
        self._fields = _field_finder(self._tag_header)
        self._buffer: bytes | bytearray = b""
        self._at = 0  # what lies before was yielded
        self._empty = 0  # bytes of empty lines from there on
        self._seen = 0  # bytes from there on in which no head ends
        self._line_checked = False
        self._state = _FramerState.HEAD
        self._left = 0
        self._ended = False
        self._work = 0
        self._wary = False
        self._most = sys.maxsize
        self.opacity = Opacity.NONE

    @property
    def buffered(self) -> int:
        """Bytes received and not yet yielded."""
        return len(self._buffer) - self._at

    @property
    def between_requests(self) -> bool:
        """The next piece, if there is one, begins a request."""
        return self._state is _FramerState.HEAD and not self._ended

    @property
    def spent(self) -> bool:
        """The pieces since ``new_turn`` were work enough for one turn of the loop."""
        return self._work >= MOST_WORK

    def new_turn(self) -> None:
        self._work = 0

    def receive(self, data: bytes) -> None:
        if self._at == len(self._buffer):
            self._buffer = data  # as nearly always: nothing is left, nothing is copied
        else:
            if isinstance(self._buffer, bytes):
                self._buffer = bytearray(memoryview(self._buffer)[self._at :])
            else:
                del self._buffer[: self._at]
            self._buffer += data
        self._at = 0

    def be_wary(self) -> None:
        """From here on every byte will be looked at: yield small pieces, and few of them a turn."""
        self._wary = True
        self._most = _WARY_BYTES

    def give_up(self) -> None:
        """From here on there are no requests: the engine switched protocols."""
        self._turn_opaque(Opacity.TUNNEL)

    def next_piece(self) -> Piece | None:
        """The next piece that can be told apart; None when more bytes are needed."""
        if self._ended:
            self._ended = False
            return End.OF_REQUEST
        if self._at == len(self._buffer):
            return None
        try:
            if self._state is _FramerState.HEAD:
                return self._head()
            if self._state is _FramerState.LENGTH_BODY:
                return self._counted()
            if self._state is not _FramerState.OPAQUE:
                return self._chunked()
        except _Unframed as unframed:
            self._turn_opaque(unframed.opacity)
        return self._take(min(self.buffered, self._most))

    def _turn_opaque(self, opacity: Opacity) -> None:
        self._state = _FramerState.OPAQUE
        self._ended = False
        self.opacity = opacity
        self.be_wary()

    def _take(self, size: int) -> bytes:
        buffer, begin = self._buffer, self._at
        self._at = end = begin + size
        self._work += _WARY_WORK if self._wary else size >> 10
        if isinstance(buffer, bytes):
            return buffer[begin:end]
        return bytes(memoryview(buffer)[begin:end])

    def _head(self) -> RequestHead | None:
        buffer, at = self._buffer, self._at
        begin = at + self._empty
        if begin < len(buffer) and buffer[begin] == 0x0D and (lines := _EMPTY_LINES.match(buffer, begin)):
            begin = lines.end()
            self._empty = begin - at
        if begin == len(buffer) or (buffer[begin] == 0x0D and begin + 1 == len(buffer)):
            if self._empty > MAX_HEAD_BYTES:
                raise _Unframed
            return None
        if buffer[begin] not in _TOKEN_BYTES:
            raise _Unframed(Opacity.TUNNEL if buffer.startswith(_TLS, begin) else Opacity.MALFORMED)
        if buffer.startswith(_H2_PREFACE, begin):
            raise _Unframed(Opacity.TUNNEL)
        end = buffer.find(b"\r\n\r\n", max(begin, at + self._seen - 3))
        if end < 0:
            self._check_unfinished(begin)
            return None
        size = end + 4 - at
        if size > MAX_HEAD_BYTES:
            raise _Unframed
        raw = buffer[at : at + size]
        head = self._parse(raw if isinstance(raw, bytes) else bytes(raw), self._empty)
        self._at += size
        self._empty = self._seen = 0
        self._line_checked = False
        self._work += _HEAD_WORK + (len(head.target) >> 2) + (size >> 5)  # paths are decoded, fields are looked at
        if head.chunked:
            self._state = _FramerState.CHUNK_LINE
        elif head.content_length:
            self._state, self._left = _FramerState.LENGTH_BODY, head.content_length
        else:
            self._ended = True
        return head

    def _check_unfinished(self, begin: int) -> None:
        """A head that can no longer become a good one must not be waited for."""
        buffer = self._buffer
        complete = len(buffer) - buffer.endswith(b"\r")
        if len(buffer) - self._at > MAX_HEAD_BYTES or _BARE.search(buffer, max(begin, self._at + self._seen), complete):
            raise _Unframed
        if not self._line_checked and buffer.find(b"\r\n", max(begin, self._at + self._seen - 1)) >= 0:
            self._line_checked = True
            if not _REQUEST_LINE.match(buffer, begin):
                raise _Unframed
        self._seen = complete - self._at

    def _parse(self, raw: bytes, begin: int) -> RequestHead:
        request = _REQUEST_LINE.match(raw, begin)
        if request is None or not _FIELDS.fullmatch(raw, request.end()):
            raise _Unframed
        lengths: list[bytes] = []
        codings: list[bytes] = []
        tag = trace = b""
        switches, expects = request[1] == b"CONNECT", False
        for field in self._fields.finditer(raw, request.end() - 2):
            name, value = field[1].lower(), field[2].rstrip(b" \t")
            if name == b"content-length":
                lengths.append(value)
            elif name == b"transfer-encoding":
                codings.append(value.lower())
            elif name == b"upgrade":
                switches = True
            elif name == b"expect":
                expects = True
            elif name == b"traceparent":
                trace = value
            if name == self._tag_header:
                tag = value
        if codings and (lengths or codings != [b"chunked"] or request[3] == b"0"):
            raise _Unframed
        if len(lengths) > 1 or (lengths and not _LENGTH.fullmatch(lengths[0])):
            raise _Unframed
        return RequestHead(
            raw=raw,
            method=request[1].decode("ascii"),
            target=request[2],
            tag=tag[:128].decode("latin-1"),
            traceparent=trace[:64].decode("latin-1"),
            content_length=int(lengths[0]) if lengths else 0,
            chunked=bool(codings),
            switches=switches,
            expects=expects,
        )

    def _counted(self) -> bytes:
        piece = self._take(min(self._left, self.buffered, self._most))
        self._left -= len(piece)
        if not self._left:
            self._state, self._ended = _FramerState.HEAD, True
        return piece

    def _chunked(self) -> bytes | None:
        """As much of a chunked body as is here and as the turn allows, lines and data in one piece. A line is yielded
        whole, so that opacity begins at a line's first byte."""
        begin, size = self._at, len(self._buffer)
        at = begin
        while at < size and at - begin < self._most and not self.spent and not self._ended:
            self._work += 1
            try:
                after = self._after(at, size)
            except _Unframed:
                if at == begin:
                    raise
                break  # what came before it is good; the next call meets it again
            if after == at:
                break
            at = after
        return self._take(at - begin) if at > begin else None

    def _after(self, at: int, size: int) -> int:
        """Where the element of a chunked body ends that begins at ``at``; ``at`` itself while it is incomplete."""
        buffer, state = self._buffer, self._state
        if state is _FramerState.CHUNK_LINE:
            line = self._line(_CHUNK_LINE, at, size)
            if line is None:
                return at
            self._left = int(line[1], 16)
            at = line.end()
            data_end = at + self._left
            if not self._left:
                self._state = _FramerState.TRAILER
            elif self._left <= self._most and buffer[data_end : data_end + 2] == b"\r\n":
                return data_end + 2
            else:
                self._state = _FramerState.CHUNK_DATA
            return at
        if state is _FramerState.CHUNK_DATA:
            step = min(self._left, size - at, self._most)
            self._left -= step
            if not self._left:
                self._state = _FramerState.CHUNK_END
            return at + step
        if state is _FramerState.CHUNK_END:
            end = buffer[at : at + 2]
            if end == b"\r":
                return at
            if end != b"\r\n":
                raise _Unframed
            self._state = _FramerState.CHUNK_LINE
            return at + 2
        line = self._line(_TRAILER, at, size)
        if line is None:
            return at
        if line.end() - at == 2:
            self._state, self._ended = _FramerState.HEAD, True
        return line.end()

    def _line(self, form: re.Pattern[bytes], at: int, size: int) -> re.Match[bytes] | None:
        """The line at ``at``; None while it has no end."""
        line = form.match(self._buffer, at, at + _MAX_CHUNK_LINE_BYTES + 1)
        if line is None and (size - at > _MAX_CHUNK_LINE_BYTES or self._buffer.find(b"\n", at) >= 0):
            raise _Unframed
        return line


def _field_finder(tag_header: bytes) -> re.Pattern[bytes]:
    """Finds the fields of a head that say something to us."""
    names = [b"content-length", b"transfer-encoding", b"upgrade", b"expect", b"traceparent"]
    if tag_header:
        names.append(re.escape(tag_header))
    return re.compile(rb"(?i)\r\n(%b):[ \t]*+([^\r\n]*+)" % b"|".join(names))
