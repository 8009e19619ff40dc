"""What users ask of the engine right now: whether our questions would be in their way, or the only ones.

Saturation comes from the engine's own queue, idleness from the relay. Both are hints that only ever make us ask less.
"""

from __future__ import annotations

from watchtower.vocabulary.facts import AnyFact, EngineScrape, RelayFrame
from watchtower.vocabulary.quantities import seconds

STALE_SECONDS = 30.0
"""An older scrape says nothing about the queue."""


class Demand:
    """Absorbs facts; answers in sentences, "" meaning no."""

    def __init__(self, started: float) -> None:
        self._users_at = started
        self._waiting: tuple[float, float] | None = None

    def absorb(self, fact: AnyFact) -> None:
        match fact:
            case RelayFrame() if fact.open_exchanges or fact.news:
                self._users_at = max(self._users_at, fact.at)
            case EngineScrape() if fact.ok and fact.waiting is not None:
                self._waiting = (fact.at, fact.waiting)
            case _:
                pass

    def saturated(self, now: float) -> str:
        """Why our questions must wait."""
        if self._waiting is None or now - self._waiting[0] > STALE_SECONDS or self._waiting[1] <= 0:
            return ""
        return f"the engine is saturated: {self._waiting[1]:g} requests wait in its queue"

    def idle(self, now: float, after: float) -> str:
        """Why there is nobody to ask for."""
        quiet = now - self._users_at
        return (
            f"no request of users for {seconds(quiet)}: canaries rest (references.while_idle)" if quiet > after else ""
        )
