"""Counts of a sub-window that are no latencies: what was asked and given, and how well the relay could see."""

from __future__ import annotations

from collections.abc import Iterable

from watchtower.vocabulary.facts import Closed, Ending


class TrafficSlot:
    """One sub-window of counts."""

    __slots__ = (
        "answered_bytes",
        "asked_bytes",
        "ended",
        "failed",
        "heard",
        "lagged",
        "open_area",
        "opened",
        "seconds",
        "tokens",
        "unsized",
        "worst_lag",
    )

    def __init__(self) -> None:
        self.tokens = 0
        self.opened = 0
        self.asked_bytes = 0
        """Of the requests opened here."""
        self.answered_bytes = 0
        """Of the requests whose prompt was done here: first token, or the answer in one piece."""
        self.unsized = 0
        """Opened without telling a length (chunked): then the bytes are too few."""
        self.ended = 0
        """Exchanges that tell something about the engine: not those the client left, not our own answers."""
        self.failed = 0
        self.heard = 0
        """News of exchanges."""
        self.seconds = 0
        """Sub-windows with a frame in them: 1 for one of a second, their sum after merging."""
        self.lagged = 0
        """Of these, those in which the relay measured itself."""
        self.worst_lag = 0.0
        self.open_area: dict[int, tuple[float, float]] = {}
        """Worker → (exchange-seconds, seconds observed)."""

    def watched(self, worker: int, open_exchanges: int, seconds: float) -> None:
        """``open_exchanges`` were open for the last ``seconds``."""
        area, observed = self.open_area.get(worker, (0.0, 0.0))
        self.open_area[worker] = (area + open_exchanges * seconds, observed + seconds)

    def lag(self, seconds: float, material: bool) -> None:
        """A relay worker's loop was late by ``seconds``; ``material``: too late for its latencies to count."""
        self.seconds = max(1, self.seconds)
        if material:
            self.lagged = max(1, self.lagged)
            self.worst_lag = max(self.worst_lag, seconds)

    def asked(self, request_bytes: int) -> None:
        """A request was forwarded; 0 bytes: it told no length."""
        self.opened += 1
        self.asked_bytes += max(0, request_bytes)
        self.unsized += request_bytes <= 0

    def closed(self, closed: Closed) -> None:
        if closed.ending in (Ending.OURS, Ending.CLIENT_LEFT):
            return
        self.ended += 1
        self.failed += failed(closed)

    def take_in(self, other: TrafficSlot) -> None:
        self.tokens += other.tokens
        self.opened += other.opened
        self.asked_bytes += other.asked_bytes
        self.answered_bytes += other.answered_bytes
        self.unsized += other.unsized
        self.ended += other.ended
        self.failed += other.failed
        self.heard += other.heard
        self.seconds += other.seconds
        self.lagged += other.lagged
        self.worst_lag = max(self.worst_lag, other.worst_lag)
        for worker, (area, seconds) in other.open_area.items():
            mine = self.open_area.get(worker, (0.0, 0.0))
            self.open_area[worker] = (mine[0] + area, mine[1] + seconds)

    @staticmethod
    def merged(parts: Iterable[TrafficSlot]) -> TrafficSlot:
        whole = TrafficSlot()
        for part in parts:
            whole.take_in(part)
        return whole

    def mean_open(self) -> float | None:
        """Time-weighted mean over each worker, added up; None when no worker was watched."""
        means = [area / seconds for area, seconds in self.open_area.values() if seconds > 0]
        return sum(means) if means else None


def failed(closed: Closed) -> bool:
    """The engine's fault: 5xx, an error inside the stream, a response without its end. A 4xx is the caller's."""
    return closed.ending in (Ending.TRUNCATED, Ending.ERROR_EVENT) or (
        closed.ending is Ending.HTTP_ERROR and closed.status >= 500
    )
