"""What users ask of the engine right now: whether our questions would be in their way, or the only ones.

Saturation comes from the engine's own queue, idleness from the relay. Both are hints that only ever make us ask less.
"""

from __future__ import annotations

from collections import deque

from watchtower.vocabulary.facts import AnyFact, EngineScrape, RelayFrame
from watchtower.vocabulary.quantities import seconds
from watchtower.vocabulary.unread import UnreadCause

STALE_SECONDS = 30.0
"""An older scrape says nothing about the queue."""


class Demand:
    """Absorbs facts; answers in sentences, "" meaning no."""

    def __init__(self, started: float, own: int) -> None:
        """``own``: requests of ours that may be in the queue themselves."""
        self._users_at = started
        self._own = own
        self._queues: deque[tuple[float, float]] = deque(maxlen=2)

    def absorb(self, fact: AnyFact) -> None:
        match fact:
            case RelayFrame() if fact.open_exchanges or fact.news or fact.unread or _passed(fact):
                self._users_at = max(self._users_at, fact.at)
            case EngineScrape() if fact.ok and fact.waiting is not None:
                self._queues.append((fact.at, fact.waiting - self._own))
            case _:
                pass

    def saturated(self, now: float) -> str:
        """Why our questions must wait: others stood in the queue at two looks in a row. At a single look a request may
        only wait for the next step."""
        fresh = [others for at, others in self._queues if now - at <= STALE_SECONDS]
        if len(fresh) < 2 or min(fresh) <= 0:
            return ""
        return f"the engine is saturated: {fresh[-1]:g} requests beside ours wait in its queue"

    def idle(self, now: float, after: float) -> str:
        """Why there is nobody to ask for."""
        quiet = now - self._users_at
        return (
            f"no request of users for {seconds(quiet)}: canaries rest (references.while_idle)" if quiet > after else ""
        )


def _passed(frame: RelayFrame) -> bool:
    """Work that nobody reads began and ended since the last frame."""
    return any(route.cause is not UnreadCause.LOOK for route in frame.routes)
