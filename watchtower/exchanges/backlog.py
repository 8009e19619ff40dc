"""Chunks that were forwarded and are read a moment later, several at a time.

Between two reads of a socket the processor's caches forget how JSON is decoded; read back to back, a chunk costs a
fraction. The instant of a chunk stays the instant of its read, and the order stays the order of the reads. A full
backlog is read at once, so no token waits behind more than about ``MOST`` chunks; whoever wants to know more (a frame
for the daemon, an answer that ends) reads it first.
"""

from __future__ import annotations

from typing import Final, Protocol

MOST: Final = 16


class LateReader(Protocol):
    """Whoever put chunks off."""

    def read_late(self, chunks: list[bytes], ns: int) -> None:
        """``chunks`` were read from the socket at ``ns``. Never raises."""


class Backlog:
    """One per worker."""

    def __init__(self) -> None:
        self._waiting: list[tuple[LateReader, list[bytes], int]] = []
        self._chunks = 0

    def __len__(self) -> int:
        return self._chunks

    def add(self, reader: LateReader, chunks: list[bytes], ns: int) -> None:
        self._waiting.append((reader, chunks, ns))
        self._chunks += len(chunks)
        if self._chunks >= MOST:
            self.read()

    def read(self) -> None:
        """Everything that waits, in the order in which it came."""
        waiting, self._waiting, self._chunks = self._waiting, [], 0
        for reader, chunks, ns in waiting:
            reader.read_late(chunks, ns)
