"""What is noted of a client's requests: the exchange that each begins, what its body says, and whether it is sampled.

Nothing here holds a request up: it is told of what was forwarded or is about to be.
"""

from __future__ import annotations

from contextlib import suppress

from watchtower.clock import boottime_ns
from watchtower.exchanges.dialect import MAX_REQUEST_BYTES, Dialect
from watchtower.exchanges.exchange import Exchange
from watchtower.exchanges.requests import RequestHead
from watchtower.taps.relay_state import RelayState


class RequestObserver:
    """One per client connection; one request at a time."""

    def __init__(self, relay: RelayState) -> None:
        self._relay = relay
        self._body: bytearray | None = None
        self.exchange: Exchange | None = None
        """Of the present request; None where nothing is observed."""
        self.dialect: Dialect | None = None
        """In which it is asked."""
        self.working = False
        """It costs the engine work."""

    def begin(self, head: RequestHead, path: str) -> None:
        """The request is about to be forwarded."""
        relay = self._relay
        relay.count("requests")
        self.exchange = self.dialect = None
        self.working = relay.routes.generates(path, head.method)
        if not self.working:
            return
        relay.count("generations")
        dialect = relay.routes.dialect(path)
        if dialect is None:
            relay.count("responses_unobserved")
            return
        self.dialect = dialect
        self.exchange = relay.exchanges.begin(boottime_ns(), path, head.tag)
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
        if self._body is not None and self.exchange is not None and self.dialect is not None:
            body = bytes(self._body)
            with suppress(Exception):  # the request is on its way, whatever we fail to understand of it
                self.dialect.describe(self.exchange, body)
                if self._relay.sampler.on:
                    self._relay.sampler.consider(self.exchange, self.dialect, body)
        self._body = None
