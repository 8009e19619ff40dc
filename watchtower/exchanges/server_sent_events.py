"""Server-sent events, split as they arrive (WHATWG HTML §9.2.6), down to the fields that engines use.

``data`` carries everything. Errors may come under a name instead: as an event of type ``error``, or in a field of that
name, which the standard does not have and llama.cpp wrote.

Line ends may be LF, CR or CRLF, mixed, and cut anywhere between two reads. Comments (engines send them as
keep-alives) and other fields are skipped. The common case, whole events in one read, takes a path with no copying
between buffers; everything else goes line by line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from watchtower.vocabulary.errors import ProtocolFault

MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
"""A longer event is not one: the first event of a long prompt with its token ids takes about 1 MiB."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM: Final = b"\xef\xbb\xbf"


class EventSplitter:
    """``feed`` body bytes; ``on_event`` gets the payload of each event that they completed, in order, and ``on_error``
    (if there is one) those that are called ``error``."""

    def __init__(self, on_event: Callable[[bytes], None], on_error: Callable[[bytes], None] | None = None) -> None:
        self._on_event = on_event
        self._on_error = on_error
        self._is_error = False
        self._line: list[bytes] = []  # pieces of the unfinished line
        self._data: list[bytes] = []  # finished data lines of the unfinished event
        self._line_size = 0
        self._data_size = 0
        self._skip_lf = False
        self._at_start = True
        self._clean = False  # between two events, and past the place where a BOM may be

    def feed(self, body: bytes) -> None:
        """Raises ProtocolFault past MAX_EVENT_BYTES of one event."""
        if (
            self._clean
            and body.find(b"\n") == len(body) - 2
            and body[:6] == b"data: "
            and body[-1:] == b"\n"
            and b"\r" not in body
        ):
            self._on_event(body[6:-2])
            return
        self._by_line(body)
        self._clean = not (self._line or self._data or self._skip_lf or self._at_start or self._is_error)

    def finish(self) -> None:
        """The body is over: an event that lacks only its blank line still counts."""
        if self._line:
            self._end_line(b"".join(self._line))
            self._line.clear()
        self._end_event()

    def _by_line(self, body: bytes) -> None:
        begin = 0
        if self._skip_lf and body:
            begin = 1 if body.startswith(b"\n") else 0
            self._skip_lf = False
        for match in _LINE_END.finditer(body, begin):
            line = body[begin : match.start()]
            begin = match.end()
            if self._line:
                self._line.append(line)
                line = b"".join(self._line)
                self._line.clear()
                self._line_size = 0
            if line:
                self._end_line(line)
            elif self._data or self._is_error:
                self._end_event()
            # A CR in last place may be half of a CRLF.
            self._skip_lf = begin == len(body) and match[0] == b"\r"
        if begin < len(body):
            self._line.append(body[begin:])
            self._line_size += len(body) - begin
        if self._line_size + self._data_size > MAX_EVENT_BYTES:
            raise ProtocolFault("an event of the stream is longer than 4 MiB")

    def _end_line(self, line: bytes) -> None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            self._data_size += len(line)
        elif line == b"data":
            self._data.append(b"")
        elif line.startswith(b"event:"):
            self._is_error = line[6:].strip() == b"error"
        elif self._on_error is not None and line.startswith(b"error:"):
            self._on_error(line[6:].strip())

    def _end_event(self) -> None:
        self._data_size = 0
        is_error, self._is_error = self._is_error, False
        if self._data:
            payload = b"\n".join(self._data)
            self._data.clear()
            (self._on_error if is_error and self._on_error is not None else self._on_event)(payload)
