"""Where requests begin and end inside a client's byte stream (RFC 9112), to the byte.

The framer never changes, adds or loses a byte: joining everything it yields gives back what it received. It yields
a request's head in one piece and only when that head is complete, so its reader can refuse or park a request before
a single byte of it went anywhere. It is stricter than any engine's parser on purpose: whatever two parsers could
frame differently (bare LF, obs-fold, both length headers, two of one) turns the connection *opaque*, for good. Opaque
bytes are yielded as they come, unframed, and it is for the reader to look at them with suspicion.
"""

from __future__ import annotations

import re
from enum import Enum, StrEnum
from typing import Final

import msgspec

MAX_HEAD_BYTES: Final = 64 * 1024
"""A longer head is not framed (uvicorn's h11 parser has the same limit)."""
_MAX_CHUNK_LINE_BYTES: Final = 4096

_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([\x21-\xff]+) HTTP/1\.([01])")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_LENGTH = re.compile(rb"[0-9]{1,15}")
_TOKEN_BYTES: Final = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_H2_PREFACE: Final = b"PRI * HTTP/2.0"


class Opacity(StrEnum):
    """Why a connection is no longer framed."""

    NONE = ""
    MALFORMED = "malformed"
    """Not HTTP/1.x, or HTTP that two parsers could read differently."""
    TUNNEL = "tunnel"
    """HTTP/2, TLS, or an upgrade that the engine accepted."""
    UNFOLLOWED = "unfollowed"
    """The engine's answers cannot be read, so nobody can tell when the next request may go."""


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


class _Malformed(Exception):
    """Inside this module only: turn opaque."""


class RequestFramer:
    """``receive`` bytes, then ask for the ``next_piece`` until there is none."""

    def __init__(self, tag_header: str = "") -> None:
        self._tag_header = tag_header.lower().encode("latin-1")
        self._buffer = b""
        self._state = _FramerState.HEAD
        self._left = 0
        self._ended = False
        self.opacity = Opacity.NONE

    @property
    def buffered(self) -> int:
        """Bytes received and not yet yielded."""
        return len(self._buffer)

    @property
    def between_requests(self) -> bool:
        """The next piece, if there is one, begins a request."""
        return self._state is _FramerState.HEAD and not self._ended

    def receive(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data

    def give_up(self, opacity: Opacity) -> None:
        """From here on there are no requests: the engine switched protocols, or its answers cannot be followed."""
        self._turn_opaque(opacity)

    def next_piece(self) -> Piece | None:
        """The next piece that can be told apart; None when more bytes are needed."""
        if self._ended:
            self._ended = False
            return End.OF_REQUEST
        if not self._buffer:
            return None
        try:
            if self._state is _FramerState.HEAD:
                return self._head()
            if self._state is _FramerState.LENGTH_BODY or self._state is _FramerState.CHUNK_DATA:
                return self._counted()
            if self._state is _FramerState.CHUNK_LINE:
                return self._chunk_line()
            if self._state is _FramerState.CHUNK_END:
                return self._chunk_end()
            if self._state is _FramerState.TRAILER:
                return self._trailer()
        except _Malformed:
            self._turn_opaque(Opacity.MALFORMED)
        return self._take(len(self._buffer))

    def _turn_opaque(self, opacity: Opacity) -> None:
        self._state = _FramerState.OPAQUE
        self._ended = False
        self.opacity = opacity

    def _take(self, size: int) -> bytes:
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _head(self) -> RequestHead | bytes | None:
        buffer = self._buffer
        begin = 0
        while buffer.startswith(b"\r\n", begin):
            begin += 2
        if begin == len(buffer) or buffer[begin:] == b"\r":
            if begin > MAX_HEAD_BYTES:
                raise _Malformed
            return None
        if buffer[begin] not in _TOKEN_BYTES:
            if buffer.startswith(b"\x16\x03", begin):
                self._turn_opaque(Opacity.TUNNEL)
                return self._take(len(buffer))
            raise _Malformed
        if buffer.startswith(_H2_PREFACE, begin):
            self._turn_opaque(Opacity.TUNNEL)
            return self._take(len(buffer))
        end = buffer.find(b"\r\n\r\n", begin)
        if end < 0:
            self._check_unfinished(buffer)
            return None
        end += 4
        if end > MAX_HEAD_BYTES:
            raise _Malformed
        head = self._parse(buffer[:end], begin)
        self._buffer = buffer[end:]
        if head.chunked:
            self._state = _FramerState.CHUNK_LINE
        elif head.content_length:
            self._state, self._left = _FramerState.LENGTH_BODY, head.content_length
        else:
            self._ended = True
        return head

    def _check_unfinished(self, buffer: bytes) -> None:
        """A head that can no longer become a good one must not be waited for."""
        complete = buffer[:-1] if buffer.endswith(b"\r") else buffer
        lines = complete.count(b"\r\n")
        if complete.count(b"\n") != lines or complete.count(b"\r") != lines or len(buffer) > MAX_HEAD_BYTES:
            raise _Malformed
        line, newline, _ = buffer.lstrip(b"\r\n").partition(b"\r\n")
        if newline and not _REQUEST_LINE.fullmatch(line):
            raise _Malformed

    def _parse(self, raw: bytes, begin: int) -> RequestHead:
        line, *headers = raw[begin:-4].split(b"\r\n")
        request = _REQUEST_LINE.fullmatch(line)
        if request is None:
            raise _Malformed
        lengths: list[bytes] = []
        codings: list[bytes] = []
        tag = trace = b""
        for header in headers:
            field = _HEADER.fullmatch(header)
            if field is None:
                raise _Malformed
            name, value = field[1].lower(), field[2].rstrip(b" \t")
            if name == b"content-length":
                lengths.append(value)
            elif name == b"transfer-encoding":
                codings.append(value.lower())
            elif name == self._tag_header:
                tag = value
            elif name == b"traceparent":
                trace = value
        if codings and (lengths or codings != [b"chunked"] or request[3] == b"0"):
            raise _Malformed
        if len(lengths) > 1 or (lengths and not _LENGTH.fullmatch(lengths[0])):
            raise _Malformed
        return RequestHead(
            raw=raw,
            method=request[1].decode("ascii"),
            target=request[2],
            tag=tag[:128].decode("latin-1"),
            traceparent=trace[:64].decode("latin-1"),
            content_length=int(lengths[0]) if lengths else 0,
            chunked=bool(codings),
        )

    def _counted(self) -> bytes:
        piece = self._take(self._left)
        self._left -= len(piece)
        if not self._left:
            if self._state is _FramerState.CHUNK_DATA:
                self._state = _FramerState.CHUNK_END
            else:
                self._state, self._ended = _FramerState.HEAD, True
        return piece

    def _line(self) -> bytes | None:
        """The next line with its CRLF; a line is yielded whole, so that opacity begins at a line's first byte."""
        newline = self._buffer.find(b"\n")
        if newline < 0:
            if len(self._buffer) > _MAX_CHUNK_LINE_BYTES:
                raise _Malformed
            return None
        if newline > _MAX_CHUNK_LINE_BYTES or self._buffer[newline - 1 : newline] != b"\r":
            raise _Malformed
        return self._buffer[: newline + 1]

    def _chunk_line(self) -> bytes | None:
        line = self._line()
        if line is None:
            return None
        size = _CHUNK_LINE.fullmatch(line[:-2])
        if size is None:
            raise _Malformed
        self._left = int(size[1], 16)
        self._state = _FramerState.CHUNK_DATA if self._left else _FramerState.TRAILER
        return self._take(len(line))

    def _chunk_end(self) -> bytes | None:
        end = self._buffer[:2]
        if end == b"\r":
            return None
        if end != b"\r\n":
            raise _Malformed
        self._state = _FramerState.CHUNK_LINE
        return self._take(2)

    def _trailer(self) -> bytes | None:
        line = self._line()
        if line is None:
            return None
        if line == b"\r\n":
            self._state, self._ended = _FramerState.HEAD, True
        elif _HEADER.fullmatch(line[:-2]) is None:
            raise _Malformed
        return self._take(len(line))
