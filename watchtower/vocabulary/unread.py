"""What passes and is not read: counted by route and cause, so that it is shown and never taken for idleness."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

HEALTH_ROUTES: Final = frozenset(
    {"/health", "/health_generate", "/healthz", "/livez", "/readyz", "/ping", "/load", "/metrics", "/is_sleeping"}
)
"""Their 5xx answers a question about the engine; it is no answer that failed a user."""


class UnreadCause(StrEnum):
    """Why answers passed that nobody read."""

    ROUTE = "route"
    """No dialect reads this route."""
    FORM = "form"
    """The route is read, but not this answer: compressed, or of an unknown type."""
    PROTOCOL = "protocol"
    """Not HTTP/1.1, or no longer to be followed (HTTP/2, TLS, websocket). Counted by bursts, not by requests."""
    BYPASS = "bypass"
    """A person had the relay bypassed."""
    LOOK = "look"
    """GET, HEAD and OPTIONS: they list or look, and cost the engine no token."""
    UNKNOWN = "unknown"
    """A cause that only a newer worker knows."""

    @classmethod
    def _missing_(cls, value: object) -> UnreadCause | None:
        return cls.UNKNOWN if isinstance(value, str) else None


class RouteUnread(msgspec.Struct, frozen=True, array_like=True):
    """What passed on one route for one cause and was not read. Cumulative since the worker started."""

    route: str
    """A name out of a closed list (``watchtower.taps.route_counts``), or ``other``: clients choose paths."""
    cause: UnreadCause
    requests: int = 0
    """Whose answer has ended."""
    endings: dict[str, int] = {}
    """By ``Ending``: ``unobserved`` (passed, and its status was no error), ``refused``, ``shed``, ``error``,
    ``truncated``, ``client_left``, ``ours``."""
    statuses: dict[str, int] = {}
    """By class: ``1xx``, ``2xx``, ``3xx``, ``4xx``, ``5xx``; ``none``: no status was seen."""
    seconds: float = 0.0
    """From forwarding the request to the end of its answer, added up."""

    @property
    def mean_seconds(self) -> float:
        return self.seconds / max(1, self.requests)


def by_requests(passed: Iterable[RouteUnread]) -> list[RouteUnread]:
    """Work before looks, and the most first."""
    return sorted(passed, key=lambda route: (route.cause is UnreadCause.LOOK, -route.requests, route.route))


def grown(total: RouteUnread, before: RouteUnread | None, now: RouteUnread) -> RouteUnread:
    """``total`` and what came between two reports of one worker on one route; ``before``: None, it is the first."""
    since = before or RouteUnread(now.route, now.cause)
    return RouteUnread(
        total.route,
        total.cause,
        total.requests + now.requests - since.requests,
        _added(total.endings, since.endings, now.endings),
        _added(total.statuses, since.statuses, now.statuses),
        total.seconds + now.seconds - since.seconds,
    )


def _added(total: dict[str, int], before: dict[str, int], now: dict[str, int]) -> dict[str, int]:
    return total | {name: total.get(name, 0) + count - before.get(name, 0) for name, count in now.items()}
