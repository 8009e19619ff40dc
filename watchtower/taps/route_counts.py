"""Answers that pass and are not read, counted by route and cause, and how many answers are under way at all.

What nobody reads is still known by its status and its duration. It keeps the engine from looking idle, its 5xx is a
failure like any other, and a drain waits for it. Clients choose paths, so names come from the closed list below and
everything else is ``other``.
"""

from __future__ import annotations

from typing import Final

from watchtower.exchanges.dialects import DIALECTS, SESSION_ROUTES, UNREAD_ROUTES
from watchtower.exchanges.exchange import Exchange
from watchtower.vocabulary.facts import Ending
from watchtower.vocabulary.unread import RouteUnread, UnreadCause

OTHER: Final = "other"
KNOWN_ROUTES: Final = frozenset(
    {
        *(route for dialect in DIALECTS for route in dialect.routes),
        *UNREAD_ROUTES,
        *SESSION_ROUTES,
        *("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/v1/embeddings", "/v1/rerank"),
        *("/v2/rerank", "/v1/score", "/v1/realtime", "/v1/images/generations", "/v1/images/edits", "/v1/videos"),
        *("/v1/audio/transcriptions", "/v1/audio/translations", "/v1/audio/speech", "/api/chat", "/api/generate"),
        *("/api/embed", "/api/embeddings", "/inference/v1/generate", "/tokenize", "/detokenize", "/apply-template"),
        *("/v1/chat/completions/render", "/v1/completions/render", "/v1/messages/count_tokens"),
        # looks
        *("/v1/models", "/models", "/api/tags", "/api/version", "/health", "/health_generate", "/healthz", "/livez"),
        *("/readyz", "/ping", "/metrics", "/version", "/load", "/info", "/props", "/slots", "/server_info"),
        *("/get_server_info", "/model_info", "/get_model_info", "/is_sleeping", "/is_paused", "/docs"),
        "/openapi.json",
    }
)
"""Normal paths: all that is known to be work, as engines usually serve it, and what gateways look at."""
QUIET_NS: Final = 15_000_000_000
"""A burst of bytes that are no requests ends with a break of this length."""
_LOOKS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


def route_name(path: str) -> str:
    """The name in the list that the normal ``path`` ends with, whatever prefix the engine is mounted under."""
    tail = path
    while tail:
        if tail in KNOWN_ROUTES:
            return tail
        cut = tail.find("/", 1)
        tail = tail[cut:] if cut > 0 else ""
    return OTHER


class Passage:
    """One request on its way to the engine, or one burst of bytes that are no requests."""

    __slots__ = ("began_ns", "cause", "exchange", "route", "works")

    def __init__(self, route: str, began_ns: int, cause: UnreadCause, works: bool) -> None:
        """``cause``: why its answer counts as unread, unless a dialect reads it to its end. ``works``: its route is
        known to cost the engine work."""
        self.route = route
        self.works = works
        self.began_ns = began_ns
        self.cause = cause
        self.exchange: Exchange | None = None
        """Whose answer a dialect reads."""

    @property
    def unread(self) -> bool:
        """It asks for something, and nobody reads what comes of it."""
        if self.exchange is None:
            return self.cause is not UnreadCause.LOOK
        return not self.exchange.is_open and not self.exchange.was_read


class _Tally:
    """What has passed on one route for one cause."""

    __slots__ = ("endings", "requests", "seconds", "statuses")

    def __init__(self) -> None:
        self.requests = 0
        self.endings: dict[str, int] = {}
        self.statuses: dict[str, int] = {}
        self.seconds = 0.0


class RouteCounts:
    """One per worker."""

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, UnreadCause], _Tally] = {}
        self._changed: set[tuple[str, UnreadCause]] = set()
        self._passages: set[Passage] = set()

    @property
    def answering(self) -> int:
        """Connections with an answer under way."""
        return len(self._passages)

    @property
    def working(self) -> int:
        """Of these, those that cost the engine work. Looks at each of them: for a frame, not for a read."""
        return sum(passage.works for passage in self._passages)

    @property
    def unread(self) -> int:
        """Of all, those that ask for something that nobody reads."""
        return sum(passage.unread for passage in self._passages)

    def begin(self, method: str, path: str, has_dialect: bool, works: bool, ns: int) -> Passage:
        """A request is forwarded at ``ns``. To be ``ended`` exactly once."""
        if method in _LOOKS and not works:
            cause = UnreadCause.LOOK
        else:
            cause = UnreadCause.FORM if has_dialect else UnreadCause.ROUTE
        return self._under_way(Passage(route_name(path), ns, cause, works))

    def begin_opaque(self, ns: int, cause: UnreadCause = UnreadCause.PROTOCOL) -> Passage:
        """Bytes move on a connection that is not read."""
        return self._under_way(Passage(OTHER, ns, cause, works=True))

    def _under_way(self, passage: Passage) -> Passage:
        self._passages.add(passage)
        return passage

    def ended(self, passage: Passage, ns: int, status: int, ending: Ending) -> None:
        """``status``: 0 where none was seen. What a dialect read is told of elsewhere."""
        self._passages.discard(passage)
        if passage.exchange is not None and passage.exchange.was_read:
            return
        key = (passage.route, passage.cause)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = _Tally()
        tally.requests += 1
        tally.seconds += max(0, ns - passage.began_ns) * 1e-9
        tally.endings[ending] = tally.endings.get(ending, 0) + 1
        level = f"{status // 100}xx" if 100 <= status < 600 else "none"
        tally.statuses[level] = tally.statuses.get(level, 0) + 1
        self._changed.add(key)

    def forget(self, passage: Passage) -> None:
        """Its end will not be seen."""
        self._passages.discard(passage)

    @property
    def has_news(self) -> bool:
        return bool(self._changed)

    def restate(self) -> None:
        """A reader arrived who knows of none."""
        self._changed = set(self._tallies)

    def take(self) -> list[RouteUnread]:
        """Those that changed since the last time."""
        changed, self._changed = self._changed, set()
        return [self._report(key) for key in sorted(changed)]

    def _report(self, key: tuple[str, UnreadCause]) -> RouteUnread:
        tally = self._tallies[key]
        route, cause = key
        return RouteUnread(route, cause, tally.requests, dict(tally.endings), dict(tally.statuses), tally.seconds)


class Bursts:
    """What moves on one connection that is not read: bytes without a longer break count as one passage, because
    nobody can tell requests apart there. A tunnel that is merely open keeps nothing from being idle, and no drain
    waits for it."""

    def __init__(self, counts: RouteCounts, cause: UnreadCause) -> None:
        self._counts = counts
        self._cause = cause
        self._passage: Passage | None = None
        self._moved_ns = 0

    def moved(self, ns: int) -> None:
        """Bytes passed at ``ns``, in either direction."""
        self._moved_ns = max(self._moved_ns, ns)
        if self._passage is None:
            self._passage = self._counts.begin_opaque(ns, self._cause)

    def rest(self, now_ns: int, moved_ns: int = 0) -> None:
        """Called about once a second. ``moved_ns``: when bytes last passed that nobody told of."""
        if moved_ns > self._moved_ns:
            self.moved(moved_ns)
        elif now_ns - self._moved_ns > QUIET_NS:
            self.end()

    def end(self, ending: Ending = Ending.UNOBSERVED) -> None:
        passage, self._passage = self._passage, None
        if passage is not None:
            self._counts.ended(passage, self._moved_ns, 0, ending)
