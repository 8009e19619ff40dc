"""The generation exchanges open at the engine of today, and when any of them last made progress.

An exchange is on the roster only if its opening was seen and lies after the last change of incarnation: what a dead
engine left behind says nothing about the living one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from watchtower.vocabulary.facts import Opened
from watchtower.vocabulary.traces import traceparent
from watchtower.windows.labels import Memberships
from watchtower.windows.observations import Observations


@dataclass(slots=True)
class OpenExchange:
    number: int
    """Unique in this process; smaller to keep than the id."""
    pid: int
    """Of the relay worker that tells of it."""
    opened_at: float
    request_bytes: int = 0
    model: str = ""
    trace_id: str = ""
    """Of the client's trace, 32 hexadecimal digits; "" when it told none."""
    first_token_at: float | None = None
    last_token_at: float | None = None
    path: str = ""
    streams: bool = False
    """Its answer comes in pieces, so there will be a first token."""
    pieces: int = 0
    """Of text, each counted as at least one token; 0 where tokens are counted."""
    remainder: float = 0.0
    """Of a token, left over from rounding."""
    labelled: Memberships = ()
    """The series of its tag and variant, where rules name any."""


class Roster:
    """Open exchanges by id."""

    def __init__(self) -> None:
        self._open: dict[str, OpenExchange] = {}
        self._numbers = 0
        self.progress_at = -math.inf
        """When any exchange last gave a token or completed."""

    def __len__(self) -> int:
        return len(self._open)

    def find(self, id: str) -> OpenExchange | None:
        return self._open.get(id)

    def opened(self, id: str, pid: int, opened: Opened) -> OpenExchange:
        """Enter an exchange. Telling again of a known one changes its model alone, which may have become known."""
        known = self._open.get(id)
        if known is None:
            self._numbers += 1
            known = self._open[id] = OpenExchange(
                self._numbers, pid, opened.at, max(0, opened.request_bytes), path=opened.path
            )
            trace = traceparent(opened.traceparent) if opened.traceparent else None
            known.trace_id = trace.trace_id if trace else ""
        known.model = opened.model or known.model
        known.streams = opened.stream or known.streams
        return known

    def closed(self, id: str) -> None:
        self._open.pop(id, None)

    def progressed(self, at: float) -> None:
        self.progress_at = max(self.progress_at, at)

    def forget_worker(self, pid: int) -> None:
        for id in [id for id, exchange in self._open.items() if exchange.pid == pid]:
            del self._open[id]

    def forget_all(self) -> None:
        self._open.clear()
        self.progress_at = -math.inf

    def of_worker(self, pid: int) -> int:
        return sum(exchange.pid == pid for exchange in self._open.values())

    def oldest_opened_at(self) -> float | None:
        return min((exchange.opened_at for exchange in self._open.values()), default=None)

    def waiting_for_first_token(self) -> int:
        return sum(exchange.first_token_at is None for exchange in self._open.values())

    def waits(self, now: float, longer_than: float, among: Iterable[OpenExchange] | None = None) -> tuple[float, ...]:
        """Seconds since their opening of those who wait for their first token for ``longer_than`` seconds and more.
        ``among``: None means all."""
        return tuple(
            now - exchange.opened_at
            for exchange in (self._open.values() if among is None else among)
            if exchange.first_token_at is None and exchange.streams and now - exchange.opened_at > longer_than
        )

    def observed_in(self, series: Observations) -> list[OpenExchange]:
        """Those of one tag or variant."""
        return [exchange for exchange in self._open.values() if series in exchange.labelled]

    def longest_open_gap(self, now: float, since: float, among: Iterable[OpenExchange] | None = None) -> float:
        """Seconds since the last token of the exchange that has waited longest for its next one, counted from
        ``since`` at the earliest; 0 when none has given a token. ``among``: None means all."""
        return max(
            (
                now - max(exchange.last_token_at, since)
                for exchange in (self._open.values() if among is None else among)
                if exchange.last_token_at is not None
            ),
            default=0.0,
        )
