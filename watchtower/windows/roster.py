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
    asked_at: float
    """From when on the engine is waited for: when the request was whole, as far as that was told."""
    request_bytes: int = 0
    model: str = ""
    trace_id: str = ""
    """Of the client's trace, 32 hexadecimal digits; "" when it told none."""
    first_token_at: float | None = None
    last_token_at: float | None = None
    path: str = ""
    streams: bool = False
    """Its answer comes in pieces, so there will be a first token."""
    uploading: bool = False
    """The client has not sent its whole request yet."""
    client_full: bool = False
    """The client does not read, so nothing is read from the engine."""
    slowest_choice_at: float | None = None
    """Of several choices, the last token of the one that has waited longest."""
    remainder: float = 0.0
    """Of a token, left over from rounding."""
    reads_since: float = -math.inf
    """Since when its client reads again, after it had not."""
    labelled: Memberships = ()
    """The series of its tag and variant, where rules name any."""

    @property
    def owed(self) -> bool:
        """It is the engine that is waited for, not the client."""
        return not (self.uploading or self.client_full)

    @property
    def owed_since(self) -> float:
        return max(self.asked_at, self.reads_since)

    @property
    def waits_since(self) -> float | None:
        """The last token of whoever waits longest for the next one; None: there was no token yet."""
        if self.last_token_at is None:
            return None
        slowest = self.last_token_at if self.slowest_choice_at is None else self.slowest_choice_at
        return max(slowest, self.reads_since)


class Roster:
    """Open exchanges by id."""

    def __init__(self) -> None:
        self._open: dict[str, OpenExchange] = {}
        self._numbers = 0
        self._tell_whole: set[int] = set()
        """Workers, by pid, that say when a request was whole; those of an earlier version do not."""
        self.progress_at = -math.inf
        """When any exchange last gave a token or completed."""

    def __len__(self) -> int:
        return len(self._open)

    def find(self, id: str) -> OpenExchange | None:
        return self._open.get(id)

    def opened(self, id: str, pid: int, opened: Opened) -> OpenExchange:
        """Enter an exchange. Telling again of a known one changes what may have become known: its model, that it
        streams, and when it was whole."""
        known = self._open.get(id)
        asked_at = opened.asked_at if math.isfinite(opened.asked_at) else None  # a worker may say anything
        if known is None:
            self._numbers += 1
            known = self._open[id] = OpenExchange(
                self._numbers, pid, opened.at, opened.at, max(0, opened.request_bytes), path=opened.path
            )
            trace = traceparent(opened.traceparent) if opened.traceparent else None
            known.trace_id = trace.trace_id if trace else ""
        known.model = opened.model or known.model
        known.streams = opened.stream or known.streams
        known.asked_at = known.asked_at if asked_at is None else asked_at
        if opened.whole_at > 0:
            self._tell_whole.add(pid)
        known.uploading = opened.whole_at <= 0 and pid in self._tell_whole
        return known

    def closed(self, id: str) -> None:
        self._open.pop(id, None)

    def progressed(self, at: float) -> None:
        if at > self.progress_at:
            self.progress_at = at

    def forget_worker(self, pid: int) -> None:
        for id in [id for id, exchange in self._open.items() if exchange.pid == pid]:
            del self._open[id]

    def forget_all(self) -> None:
        self._open.clear()
        self.progress_at = -math.inf

    def of_worker(self, pid: int) -> int:
        return sum(exchange.pid == pid for exchange in self._open.values())

    def owed_since(self) -> float | None:
        """Since when the engine owes a token to the one that it has owed it longest; None: it owes none."""
        return min((exchange.owed_since for exchange in self._open.values() if exchange.owed), default=None)

    def waiting_for_first_token(self) -> int:
        return sum(exchange.first_token_at is None and exchange.owed for exchange in self._open.values())

    def waits(self, now: float, longer_than: float, among: Iterable[OpenExchange] | None = None) -> tuple[float, ...]:
        """Seconds since they asked of those who wait for their first token for ``longer_than`` seconds and more.
        ``among``: None means all."""
        return tuple(
            now - exchange.owed_since
            for exchange in (self._open.values() if among is None else among)
            if exchange.first_token_at is None
            and exchange.streams
            and exchange.owed
            and now - exchange.owed_since > longer_than
        )

    def observed_in(self, series: Observations) -> list[OpenExchange]:
        """Those of one tag or variant."""
        return [exchange for exchange in self._open.values() if series in exchange.labelled]

    def longest_open_gap(self, now: float, since: float, among: Iterable[OpenExchange] | None = None) -> float:
        """Seconds since the last token of the exchange, or the choice of one, that has waited longest for its next one,
        counted from ``since`` at the earliest; 0 when none has given a token. ``among``: None means all."""
        return max(
            (
                now - max(exchange.waits_since, since)
                for exchange in (self._open.values() if among is None else among)
                if exchange.waits_since is not None and exchange.owed
            ),
            default=0.0,
        )
