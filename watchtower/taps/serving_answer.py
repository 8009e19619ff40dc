"""What a worker answers whoever asks it how the engine is: ``GET /-/serving`` on the relay's own port.

The status code says all there is: 503 when the daemon says that the engine is dead or hangs, 200 otherwise. The
daemon renews its word; without a daemon the answer lapses to 200, because silence of ours must empty no pool. While a
hold is on the answer is 200 as well: a gateway that turned away now would drop the requests that wait.
"""

from __future__ import annotations

from typing import Final

from watchtower.taps.hold import Hold
from watchtower.vocabulary.facts import ServingOrder

SERVING_TARGET: Final = b"/-/serving"
"""The one target that is ours; nothing else below ``/-/`` is."""


class Serving:
    """One per worker."""

    def __init__(self, hold: Hold) -> None:
        self._hold = hold
        self._order: ServingOrder | None = None

    def obey(self, order: ServingOrder) -> None:
        self._order = order

    def status(self, now: float) -> int:
        """The HTTP status at ``now`` (CLOCK_BOOTTIME seconds)."""
        order = self._order
        if order is None or now >= order.until or self._hold.holding:
            return 200
        return 503 if order.known and not order.serving else 200


def asks_serving(method: str, target: bytes) -> bool:
    """This request is for us, not for the engine."""
    return target == SERVING_TARGET and method in ("GET", "HEAD")


def serving_answer(status: int) -> bytes:
    """The whole answer, to GET and to HEAD. It closes the connection, like every answer of our own."""
    reason = {200: "OK", 503: "Service Unavailable"}[status]
    lines = (f"HTTP/1.1 {status} {reason}", "Content-Length: 0", "Cache-Control: no-store", "Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("ascii")
