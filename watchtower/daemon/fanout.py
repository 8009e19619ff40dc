"""One message to many: how facts, samples and wishes travel between parts that do not know each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Message = TypeVar("Message")


class Fanout(Generic[Message]):
    """Hands each message to every subscriber at once, in the order in which they subscribed."""

    def __init__(self) -> None:
        self._subscribers: list[Callable[[Message], None]] = []

    def subscribe(self, *subscribers: Callable[[Message], None]) -> None:
        self._subscribers += subscribers

    def publish(self, message: Message) -> None:
        for subscriber in self._subscribers:
            subscriber(message)
