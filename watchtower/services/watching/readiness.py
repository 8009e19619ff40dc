"""Whether Watchtower sees: the traffic's path, and who runs. What ``/-/ready`` tells; never how the engine is."""

from __future__ import annotations

from collections.abc import Callable, Sized

from watchtower.vocabulary.facts import EngineSeen


class Readiness:
    def __init__(self, workers: Callable[[], Sized], engine: Callable[[], EngineSeen | None]) -> None:
        """``workers``: the connected relay workers. ``engine``: the newest look at the engine."""
        self._workers = workers
        self._engine = engine

    def because(self) -> str:
        """Why we are not ready; "" when we are."""
        if not self._workers():
            return "no relay worker has reported yet"
        if self._engine() is None:
            return "the adapter has not looked yet"
        return ""
