"""What is noted of a client's requests: the exchange that each begins, what its body says, and whether it is sampled.

Nothing here holds a request up: it is told of what was forwarded or is about to be.
"""

from __future__ import annotations

from contextlib import suppress

from watchtower.clock import boottime_ns
from watchtower.exchanges.dialect import MAX_REQUEST_BYTES, Dialect
from watchtower.exchanges.exchange import Exchange
from watchtower.exchanges.requests import RequestHead
from watchtower.exchanges.responses import ResponseReader
from watchtower.taps.relay_state import RelayState
from watchtower.taps.route_counts import Passage
from watchtower.vocabulary.facts import Ending


class RequestObserver:
    """One per client connection; one request at a time."""

    def __init__(self, relay: RelayState) -> None:
        self._relay = relay
        self._body: bytearray | None = None
        self.exchange: Exchange | None = None
        """Of the present request; None where nothing is observed."""
        self.dialect: Dialect | None = None
        """In which it is asked."""
        self._passage: Passage | None = None

    def begin(self, head: RequestHead, path: str) -> None:
        """The request is about to be forwarded."""
        relay = self._relay
        relay.count("requests")
        self.exchange = self.dialect = None
        now_ns, dialect = boottime_ns(), relay.routes.dialect(path, head.method)
        works = relay.routes.generates(path, head.method)
        self._passage = relay.passing.begin(head.method, path, dialect is not None, works, now_ns)
        if not works:
            return
        relay.count("generations")
        if dialect is None:
            relay.count("responses_unobserved")
            return
        self.dialect = dialect
        self.exchange = relay.exchanges.begin(now_ns, path, head.tag, quiet=not dialect.timed)
        self._passage.exchange = self.exchange
        self.exchange.request_bytes = head.content_length
        self.exchange.traceparent = head.traceparent
        if not head.chunked and head.content_length <= MAX_REQUEST_BYTES:
            self._body = bytearray()

    def read(self, piece: bytes) -> None:
        """The next piece of the request's body."""
        if self._body is not None:
            self._body += piece

    def ended(self) -> None:
        """The request is whole."""
        if self.exchange is not None:
            self.exchange.request_whole(boottime_ns())
        if self._body is not None and self.exchange is not None and self.dialect is not None:
            body = bytes(self._body)
            with suppress(Exception):  # the request is on its way, whatever we fail to understand of it
                self.dialect.describe(self.exchange, body)
                if self._relay.sampler.on:
                    self._relay.sampler.consider(self.exchange, self.dialect, body)
        self._body = None

    def answered(self, reader: ResponseReader, ending: Ending | None = None) -> None:
        """The answer has ended, or will not come. ``ending``: None, as its status says. Said again, it changes
        nothing."""
        passage, self._passage = self._passage, None
        if passage is None:
            return
        if ending is None:
            ending = Ending.UNOBSERVED if reader.by_status is Ending.COMPLETE else reader.by_status
        self._relay.passing.ended(passage, boottime_ns(), reader.status, ending)

    def stop(self) -> None:
        """From here on nothing is observed; what is under way is counted by its bytes instead."""
        if self._passage is not None:
            self._relay.passing.forget(self._passage)
        self._passage = self._body = self.exchange = self.dialect = None
