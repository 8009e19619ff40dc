"""What is known of the engine from the looks at it: the newest one, how often another one ran, how scrapes fared."""

from __future__ import annotations

from watchtower.vocabulary.actions import Incarnation
from watchtower.vocabulary.facts import AnyFact, EngineScrape, EngineSeen


class EngineSight:
    """Absorbs facts; answers at once."""

    def __init__(self) -> None:
        self.newest: EngineSeen | None = None
        """None: the adapter has not looked yet."""
        self.restarts = 0
        """Times that another incarnation was seen."""
        self.scrapes = {"ok": 0, "failed": 0}
        self._incarnation: Incarnation | None = None  # of the newest look that found one

    def absorb(self, fact: AnyFact) -> None:
        match fact:
            case EngineSeen():
                self.newest = fact
                if fact.incarnation is not None:
                    self.restarts += self._incarnation not in (None, fact.incarnation)
                    self._incarnation = fact.incarnation
            case EngineScrape():
                self.scrapes["ok" if fact.ok else "failed"] += 1
            case _:
                pass
