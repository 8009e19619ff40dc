"""Answers of one JSON object a line (NDJSON), and of a single object, which is the last line and lacks its end."""

from __future__ import annotations

from collections.abc import Callable

from watchtower.exchanges.answer_reading import Part, PartsReader
from watchtower.exchanges.dialect import MAX_BODY_BYTES
from watchtower.exchanges.exchange import Exchange
from watchtower.vocabulary.errors import UNREADABLE, ProtocolFault


class JsonLinesReader(PartsReader[Part]):
    """``exchanges.dialect.Reader``. A dialect adds ``_found``, as for events."""

    def __init__(self, exchange: Exchange, decode: Callable[[bytes | bytearray], Part]) -> None:
        super().__init__(exchange, decode)
        self._pieces: list[bytes] = []  # of the unfinished line
        self._size = 0
        self._said = False
        """There was text, or a tool call."""
        self._is_one_object = False  # over several lines: read at the end

    def feed(self, body: bytes) -> None:
        """Raises ProtocolFault for what are no such lines."""
        end = -1 if self._is_one_object else body.rfind(b"\n")
        if end >= 0:
            lines = b"".join((*self._pieces, body[:end]))
            self._pieces.clear()
            self._size = 0
            body = body[end + 1 :]
            self._lines(lines)
        if body:
            self._pieces.append(body)
            self._size += len(body)
            if self._size > MAX_BODY_BYTES:
                raise ProtocolFault("a line is longer than 4 MiB")

    def finish(self) -> None:
        self.cut()
        super().finish()

    def cut(self) -> None:
        line = b"".join(self._pieces)
        self._pieces.clear()
        if line.strip():
            self._part(line)

    def _is_empty(self) -> bool:
        return not (self._said or self.exchange.has_tokens)

    def _lines(self, lines: bytes) -> None:
        if not (self._readable or self._strangers) and self._begins_an_object(lines):
            self._is_one_object = True
            self._pieces.append(lines + b"\n")
            self._size = len(lines) + 1
            return
        for line in lines.split(b"\n"):
            if line.strip():
                self._part(line)

    def _begins_an_object(self, lines: bytes) -> bool:
        """The first line alone is no JSON, so the answer is one object that was printed over several."""
        try:
            self._decode(lines.strip().partition(b"\n")[0])
        except UNREADABLE:
            return lines.lstrip().startswith((b"{", b"["))
        return False

    def _unreadable(self, payload: bytes) -> None:
        self.malformed += payload.lstrip().startswith(b"{")
        self._stranger()
