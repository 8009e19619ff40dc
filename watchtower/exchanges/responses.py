"""What the engine's half of a connection says, read after it was forwarded.

httptools finds the messages; a HEAD's answer, which no response parser can frame alone, is skipped by hand. One
request is outstanding at a time (the tap sees to it), so an answer belongs to the request announced by ``expect``.
Losing the thread is not an error: ``in_sync`` turns False, the exchange is closed as unobserved, and the bytes keep
flowing without us.

The common read of a stream is exactly one HTTP chunk, or a few. It takes the framing from one gap between chunks to
another (``exchanges.chunks``), so the parser need not see it, and what it says can be read a moment later, together
with others (``exchanges.backlog``). Every other read goes through the parser at once, after what was put off: whether
an answer has ended is never known late. A read of very many bytes (the engine was held up, or sends no tokens) is gone
through a piece at a time (``go_on``), and nothing else is read from this engine before it is: no answer takes the
loop away from the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import httptools

from watchtower.exchanges.chunks import sole_chunk, whole_chunks
from watchtower.exchanges.dialect import Dialect, Reader
from watchtower.exchanges.exchange import Exchange
from watchtower.vocabulary.errors import ProtocolFault
from watchtower.vocabulary.facts import Ending

_MAX_HEAD_BYTES: Final = 256 * 1024
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
"""In a head that is not followed: where it ends would be a guess."""
MOST_AT_ONCE: Final = 4 * 1024
"""Bytes that are gone through in one go: in the worst case hundreds of chunks, or thousands of blank lines."""
_TOO_MANY: Final = 429
_UNAVAILABLE: Final = 503


class ResponseReader:
    """``expect`` a request's answer, then ``feed`` what arrives."""

    def __init__(self, count: Callable[[str], None], on_status: Callable[[int], None] = lambda ns: None) -> None:
        """``count`` is told the name of everything that could not be observed (RELAY_COUNTERS), ``on_status`` the
        instant of each status line of an answer."""
        self._count = count
        self._on_status = on_status
        self._parser = httptools.HttpResponseParser(self)
        self._method = ""
        self._exchange: Exchange | None = None
        self._dialect: Dialect | None = None
        self._body: Reader | None = None
        self._head_only = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._ns = 0
        self._in_body = False
        self._chunk_ended = False  # the parser's newest word was the end of a chunk
        self._between_chunks = False  # and nothing came after it
        self._rest = b""  # of a long read; as far as ``_rest_at`` it was gone through
        self._rest_at = 0
        self.awaited = False
        """A request was forwarded and its answer has not ended."""
        self.started = False
        """Bytes of the present answer were seen."""
        self.keeps_alive = False
        """The newest answer has ended, and did not announce that the connection ends with it."""
        self.status = 0
        """HTTP status of the present or newest answer; 0 before its head."""
        self.by_status = Ending.UNOBSERVED
        """How that answer ended, as far as its status says: what is known of answers that nobody reads."""
        self.in_sync = True
        self.switched = False
        """101, or a CONNECT that succeeded: no more HTTP on this connection."""

    def expect(self, method: str, exchange: Exchange | None, dialect: Dialect | None = None) -> None:
        """A request is about to be forwarded; no other is outstanding. ``dialect``: in which ``exchange`` is
        answered."""
        self._method = method
        self._exchange = exchange
        self._dialect = dialect
        self.awaited = True
        self.started = False
        self.keeps_alive = False
        self.status = 0

    def feed(self, data: bytes, ns: int) -> bool:
        """``data`` was read at ``ns`` (CLOCK_BOOTTIME). True: it is long, and most of it is still to be gone through
        (``go_on``); what is fed before that is done waits for it. Never raises."""
        if self._between_chunks:
            begin = sole_chunk(data)
            chunks = [data[begin:-2]] if begin else whole_chunks(data) if len(data) <= MOST_AT_ONCE else []
            if chunks:
                if self._body is not None and self._exchange is not None:
                    self._exchange.backlog.add(self, chunks, ns, len(data))
                return False
            self._between_chunks = False
            self._read_what_was_put_off()
        while self._rest:
            self.go_on()
        self.started = True
        self._ns = ns
        if len(data) > MOST_AT_ONCE:
            self._rest, self._rest_at = data, MOST_AT_ONCE
            data = data[:MOST_AT_ONCE]
        self._go_through(data)
        return bool(self._rest)

    def go_on(self) -> bool:
        """Go through the next piece of the newest read. True: there are more."""
        data, at = self._rest, self._rest_at
        if not data:
            return False
        self._rest_at += MOST_AT_ONCE
        if self._rest_at >= len(data):
            self._rest = b""
        self._go_through(data[at : at + MOST_AT_ONCE])
        return bool(self._rest)

    def _go_through(self, data: bytes) -> None:
        if self._method == "HEAD" and self.awaited:
            data = self._skip_head(data)
            if not data:
                return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._switch()
        except httptools.HttpParserError:
            self._lose_sight("responses_malformed")
        else:
            exchange = self._exchange
            if exchange is not None and exchange.fresh and not self._rest:  # one read's tokens share its gap
                exchange.tokens_read(self._ns)
            ends_a_chunk = self._chunk_ended and self._in_body and data.endswith(b"\r\n")
            self._between_chunks = ends_a_chunk and not self._rest

    def read_late(self, chunks: list[bytes], ns: int) -> None:
        """The chunks of one read that was put off."""
        exchange, reader = self._exchange, self._body
        if exchange is None or reader is None:
            return
        try:
            for chunk in chunks:
                reader.feed(chunk)
        except Exception:  # a defect of ours, too: it would cost the connections whose chunks are read after this one
            self._ns = ns
            self._count("responses_unobserved")
            self._unobserve()
        else:
            if exchange.fresh:
                exchange.tokens_read(ns)

    def _read_what_was_put_off(self) -> None:
        if self._exchange is not None:
            self._exchange.backlog.read()

    def _catch_up(self) -> None:
        """There will be no more: read all there is."""
        while self._rest:
            self.go_on()
        self._read_what_was_put_off()

    def eof(self, ns: int) -> bool:
        """The engine closed. True when that is how the present answer ends, or none was outstanding."""
        self._catch_up()
        self._ns = ns
        if not self.awaited:
            return True
        if not self.in_sync:
            self.awaited = False
            return True
        if self._in_body and self._ends_with_connection():
            self.on_message_complete()
            return True
        self.end(Ending.TRUNCATED, ns)
        return False

    def _ends_with_connection(self) -> bool:
        """RFC 9112, 6.3: codings of which the last is not chunked, or neither codings nor a length."""
        codings = self._headers.get(b"transfer-encoding")
        if codings is None:
            return b"content-length" not in self._headers
        return codings.rpartition(b",")[2].strip() != b"chunked"

    def end(self, ending: Ending, ns: int, status: int = 0) -> Ending:
        """The present answer will not go on. ``ending``: why, unless what was read of it says otherwise: an answer
        whose last event came is complete, whoever went then. ``status``: of our own answer. Gives the ending."""
        self._catch_up()
        if not self.awaited:
            return self.by_status
        exchange, body = self._exchange, self._body
        if exchange is not None:
            if exchange.status >= 300:
                ending = self._by_status(exchange.status)
            elif body is not None:
                ending = self._ending_of(exchange, body, body.cut) or ending
            exchange.status = exchange.status or status
            self._close(exchange, ending, ns)
        self._exchange = self._body = None
        self.awaited = self._in_body = self._between_chunks = False
        return ending

    def client_stopped(self, stopped: bool, ns: int) -> None:
        """The client's buffer is full, so the engine is not read from; or it is again."""
        if self._exchange is not None:
            self._exchange.client_stopped(stopped, ns)

    def _ending_of(self, exchange: Exchange, body: Reader, last: Callable[[], None]) -> Ending | None:
        """How the answer ended by what was read of it, after the ``last`` of it. Tokens that are found only now have
        no instant of their own."""
        try:
            last()
        except Exception:  # not of this dialect, or a defect of ours: neither may cost the connection
            self._count("responses_unobserved")
            return Ending.UNOBSERVED
        if exchange.fresh:
            count, exchange.fresh = exchange.fresh, 0
            exchange.more_tokens(count)
        if body.malformed:
            self._count("events_malformed")
        return body.ending()

    def _close(self, exchange: Exchange, ending: Ending, ns: int) -> None:
        if exchange.unknown_finish:
            self._count("unknown_finish")
        exchange.close(ending, ns)

    def _switch(self) -> None:
        self.switched = True
        self._rest = b""
        self.status = self._parser.get_status_code()
        self.in_sync = False
        self._unobserve()

    def _lose_sight(self, counter: str) -> None:
        self.in_sync = False
        self._rest = b""
        self._count(counter)
        self._unobserve()

    def _unobserve(self) -> None:
        if self._exchange is not None:
            self._exchange.close(Ending.UNOBSERVED, self._ns)
        self._exchange = self._body = None

    def _skip_head(self, data: bytes) -> bytes:
        """The answer to HEAD ends with its head; interim ones come before it. What is left of ``data``."""
        before = len(self._head_only)
        seen = max(0, before - 3)
        self._head_only += data
        begin = 0
        while (end := self._head_only.find(b"\r\n\r\n", max(begin, seen))) >= 0:
            code = bytes(self._head_only[begin + 9 : begin + 12])
            begin, seen = end + 4, end + 4
            if not code.startswith(b"1"):
                rest = bytes(self._head_only[begin:])
                self._head_only.clear()
                self.awaited = False
                self._status_line(int(code) if code.isdigit() else 0)
                return rest
        del self._head_only[:begin]
        if len(self._head_only) > _MAX_HEAD_BYTES or _BARE_LF.search(self._head_only, max(0, before - begin)):
            self._lose_sight("responses_malformed")
        return b""

    def _status_line(self, status: int) -> None:
        self.status, self.by_status = status, self._by_status(status)
        self._on_status(self._ns)

    def _by_status(self, status: int) -> Ending:
        if status < 300:
            return Ending.COMPLETE
        if status == _TOO_MANY or (status == _UNAVAILABLE and b"retry-after" in self._headers):
            return Ending.SHED
        return Ending.REFUSED if status < 500 else Ending.ERROR

    # httptools calls these, by these names.

    def on_message_begin(self) -> None:
        self._chunk_ended = False
        self._headers.clear()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value.lower()

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return
        self._in_body = True
        self._status_line(status)
        if self._method == "CONNECT" and status < 300:
            self._switch()
        exchange = self._exchange
        if exchange is None:
            return
        exchange.status = status
        if status >= 300:  # a redirect is no answer either: the caller asked at the wrong place
            return
        kind = self._headers.get(b"content-type", b"").partition(b";")[0].strip()
        coded = self._headers.get(b"content-encoding", b"") not in (b"", b"identity")
        if self._dialect is not None and not coded:
            self._body = self._dialect.open(exchange, kind.decode("latin-1"))
        if self._body is None:
            self._count("responses_unobserved")
            self._unobserve()

    def on_chunk_header(self) -> None:
        self._chunk_ended = False

    def on_chunk_complete(self) -> None:
        self._chunk_ended = True

    def on_body(self, body: bytes) -> None:
        reader = self._body
        if reader is not None:
            try:
                reader.feed(body)
            except ProtocolFault:
                self._count("responses_unobserved")
                self._unobserve()

    def on_message_complete(self) -> None:
        if not self._in_body:
            return  # an interim (1xx) answer
        exchange, body = self._exchange, self._body
        if exchange is not None:
            ending = self._by_status(exchange.status)
            if body is not None:
                if exchange.fresh:
                    exchange.tokens_read(self._ns)
                ending = self._ending_of(exchange, body, body.finish) or Ending.TRUNCATED
            self._close(exchange, ending, self._ns)
        self._exchange = self._body = None
        self.awaited = self._in_body = False
        self.keeps_alive = self._parser.should_keep_alive()
