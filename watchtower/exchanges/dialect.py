"""The port of dialects: what a way of asking an engine for tokens, and of answering, has to bring.

A dialect is a value, listed in ``exchanges.dialects``. Its reader writes what it finds into the exchange itself: an
object for each event would cost more than reading the event. Nothing here does I/O, and nothing that an engine sends
may raise anything but ProtocolFault ("this is not my dialect", after which the exchange is closed as unobserved).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from watchtower.exchanges.exchange import Exchange
from watchtower.vocabulary.facts import Ending

MAX_REQUEST_BYTES: Final = 64 * 1024
"""A longer request body is not described: the answer names the model, and its type says whether it streams."""
MAX_BODY_BYTES: Final = 4 * 1024 * 1024
"""A longer answer in one piece is not kept for its usage."""


class Reader(Protocol):
    """Reads the body of one answer. Tokens go to ``exchange.fresh``, totals and text to their fields."""

    @property
    def ended(self) -> bool:
        """The last event (or the body's finish reason) was seen: the answer is whole, whatever its framing does now."""

    @property
    def errored(self) -> bool:
        """The engine reported an error inside a 200."""

    @property
    def malformed(self) -> int:
        """Events (or bodies) that could not be read."""

    def ending(self) -> Ending | None:
        """How the answer ended, by what was read of it; None: it has not. An error comes first, whatever followed."""

    def feed(self, body: bytes) -> None:
        """Body bytes, as they came. Raises ProtocolFault for what is not this dialect."""

    def finish(self) -> None:
        """The answer's framing ended. Raises ProtocolFault."""

    def cut(self) -> None:
        """There will be no more, although the framing has not ended. What came whole still counts."""


class Asked(Protocol):
    """What a request asks, for those who sample."""

    question: str
    """The last thing that was said to the model; "" when it is no text."""
    alone: bool
    """One question, and nothing before it."""
    plain: bool
    """Text to go on with, not a message in a chat."""
    greedy: bool
    """Temperature 0, and one answer."""

    def conversation(self) -> bytes:
        """Everything that was said, as the request has it."""

    def nothing_beside(self) -> bool:
        """The request holds nothing that could change a greedy answer, its length apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One way of asking for tokens and of answering."""

    name: str
    """That of its file."""
    routes: tuple[str, ...]
    """Endings of normal paths (``taps.guard.normal_path``) whose POSTs ask in this dialect."""
    describe: Callable[[Exchange, bytes], None]
    """The whole request body (at most MAX_REQUEST_BYTES): write down its model and whether it asks for a stream. A
    body that cannot be read is left alone."""
    open: Callable[[Exchange, str], Reader | None]
    """An answer below 400 begins, uncompressed, with this content type (lower case, without parameters). None: this
    cannot be read."""
    timed: bool = True
    """Its answers come with tokens, and somebody waits for the next. Otherwise an exchange is told of once it has
    ended."""
    asked: Callable[[bytes], Asked] | None = None
    """What the request body asks; raises UNREADABLE. None: its answers are not sampled."""


def tails(path: str) -> Iterator[str]:
    """``path`` and all that it ends with, from segment to segment: engines can be mounted under any prefix.

    >>> list(tails("/a/b/c"))
    ['/a/b/c', '/b/c', '/c']
    """
    while path:
        yield path
        cut = path.find("/", 1)
        path = path[cut:] if cut > 0 else ""


ASKING: Final = frozenset({"POST", "PUT"})
"""Methods that ask for work. (SGLang takes either.)"""


class Routes:
    """Which dialect a route speaks, and which routes cost the engine work at all. A route is known by how its path
    ends, the longest ending first."""

    def __init__(self, dialects: Iterable[Dialect], unread: Iterable[str] = (), sessions: Iterable[str] = ()) -> None:
        """``unread``: routes that cost work in a dialect that nobody reads; ``sessions``: those of which a GET does.
        Raises ValueError for a route that two dialects claim."""
        self._sessions = frozenset(sessions)
        self._dialects: dict[str, Dialect | None] = {}
        for dialect in dialects:
            for route in dialect.routes:
                if (other := self._dialects.setdefault(route, dialect)) is not dialect and other is not None:
                    raise ValueError(f"{route} is claimed by {other.name} and by {dialect.name}")
        for route in unread:
            self._dialects.setdefault(route, None)

    def generates(self, path: str, method: str = "POST") -> bool:
        """Such a request costs the engine work: it is counted, a hold parks it, a drain waits for its answer."""
        if method in ASKING:
            return any(tail in self._dialects for tail in tails(path))
        return method == "GET" and any(tail in self._sessions for tail in tails(path))

    def dialect(self, path: str, method: str = "POST") -> Dialect | None:
        """How a request to ``path`` is asked and answered; None when nobody reads that."""
        if method not in ASKING:
            return None
        return next((self._dialects[tail] for tail in tails(path) if tail in self._dialects), None)
