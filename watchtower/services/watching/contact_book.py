"""When each of our hands last reached the engine, and when it last failed to.

Only an HTTP status line proves that somebody answers (and tokens of a stream whose status line is long past): a
connection is also accepted for a stopped process, and by proxies for the dead. Two failed tries with some seconds
between them make a silence; one is a lost packet.
"""

from __future__ import annotations

import math
from typing import Any, Final

from watchtower.vocabulary.contacts import ContactBy, ContactKind
from watchtower.vocabulary.facts import AnyFact, CanaryEnded, EngineScrape, RelayFrame

APART_SECONDS: Final = 5.0
"""Failed tries are this far apart before they count as a silence."""


class ContactBook:
    """Absorbs facts; answers at once. All times are CLOCK_BOOTTIME seconds."""

    def __init__(self) -> None:
        self._newest: dict[tuple[ContactBy, ContactKind], float] = {}
        self._answered_at = -math.inf
        self._failures: tuple[float, float] | None = None  # the first and the last since the newest answer

    def absorb(self, fact: AnyFact) -> None:
        match fact:
            case RelayFrame():
                for contact in fact.contacts:
                    self._note(contact.by, contact.kind, contact.at)
                tokens = max((news.last_token_at or -math.inf for news in fact.news), default=-math.inf)
                if math.isfinite(tokens):
                    self._note(ContactBy.RELAY, ContactKind.HTTP, tokens)
            case EngineScrape(contact=ContactKind() as kind):
                self._note(ContactBy.SCRAPE, kind, fact.at)
            case CanaryEnded(contact=ContactKind() as kind):
                self._note(ContactBy.CANARY, kind, fact.at)
            case _:
                pass

    def _note(self, by: ContactBy, kind: ContactKind, at: float) -> None:
        if not at > self._newest.get((by, kind), -math.inf):
            return
        self._newest[by, kind] = at
        if kind is ContactKind.HTTP:
            self._answered_at = max(self._answered_at, at)
            if self._failures is not None and self._failures[0] <= at:
                last = self._failures[1]
                self._failures = (last, last) if last > at else None
        elif at > self._answered_at:
            first, last = self._failures or (at, at)
            self._failures = (min(first, at), max(last, at))

    def silence(self, now: float) -> float | None:
        """Seconds without an answer to any hand, where tries prove it; None: the last try was answered, or too little
        was tried to tell."""
        if self._failures is None or self._failures[1] - self._failures[0] < APART_SECONDS:
            return None
        since = self._answered_at if math.isfinite(self._answered_at) else self._failures[0]
        return now - since

    def document(self, now: float) -> list[dict[str, Any]]:
        """The newest of each hand and kind, newest first, as people are shown it."""
        newest = sorted(self._newest.items(), key=lambda item: -item[1])
        return [{"by": by.value, "kind": kind.value, "seconds_ago": round(now - at, 3)} for (by, kind), at in newest]
