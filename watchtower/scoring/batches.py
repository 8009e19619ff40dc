"""Texts that wait to be embedded: batches that canaries never wait long for, and live samples that may fall off."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from watchtower.vocabulary.embeddings import Embedding

BATCH_TEXTS = 8
"""Texts of one batch: canaries wait for no more than one batch of live samples."""
MOST_LIVE = 256
"""Live texts that may wait; beyond it the oldest fall off, counted."""
MOST_CANARIES = 4096


class Batch:
    """Texts that go to the child together, and who waits for them."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.answer: asyncio.Future[Embedding] = asyncio.get_running_loop().create_future()

    def settle(self, answer: Embedding) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


class Batches:
    """Two queues; canaries go first."""

    def __init__(self) -> None:
        self._canaries: deque[Batch] = deque()
        self._live: deque[Batch] = deque()
        self._news = asyncio.Event()
        """Set when a batch came, or the end."""
        self.live_dropped = 0
        """Live samples that fell off because canaries or the CPU share left no time."""

    def put(self, texts: Sequence[str], *, live: bool) -> list[Batch] | None:
        """None: too many canaries wait already."""
        queue = self._live if live else self._canaries
        if not live and len(queue) * BATCH_TEXTS + len(texts) > MOST_CANARIES:
            return None
        batches = [Batch(list(texts[first : first + BATCH_TEXTS])) for first in range(0, len(texts), BATCH_TEXTS)]
        queue.extend(batches)
        while len(self._live) * BATCH_TEXTS > MOST_LIVE:
            dropped = self._live.popleft()
            self.live_dropped += len(dropped.texts)
            dropped.settle(Embedding(None, "the scorer had no time for a live sample"))
        self._news.set()
        return batches

    @property
    def next_is_live(self) -> bool | None:
        """None: nothing waits."""
        if self._canaries:
            return False
        return True if self._live else None

    def take(self) -> Batch:
        """The next one. Raises IndexError when nothing waits."""
        return (self._canaries or self._live).popleft()

    async def news(self, within_seconds: float | None) -> None:
        """Wait until a batch comes, or the end; at most so long."""
        self._news.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                await self._news.wait()

    def refuse(self, because: str) -> None:
        """Everything that waits is UNKNOWN."""
        for queue in (self._canaries, self._live):
            while queue:
                queue.popleft().settle(Embedding(None, because))
        self._news.set()
