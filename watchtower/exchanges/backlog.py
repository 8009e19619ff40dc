"""Chunks that were forwarded and are read a moment later, many at a time.

Between two reads of a socket the processor's caches forget how JSON is decoded; read back to back, a chunk costs a
fraction. The instant of a chunk stays the instant of its read, and the order stays the order of the reads. Whoever
wants to know more (a tick of the reporter, a frame for the daemon, an answer that ends) reads it first, so a chunk
waits no longer than a tick. A full backlog is read at once: it is bounded, in bytes too, and so is the time that its
reading takes from the loop.
"""

from __future__ import annotations

from typing import Final, Protocol

MOST: Final = 256
"""Chunks, about a millisecond's reading. More of them make none cheaper."""
MOST_BYTES: Final = 48 * 1024
"""As long as they are, if they are many events each."""


class LateReader(Protocol):
    """Whoever put chunks off."""

    def read_late(self, chunks: list[bytes], ns: int) -> None:
        """``chunks`` were read from the socket at ``ns``. Never raises."""


class Backlog:
    """One per worker."""

    def __init__(self) -> None:
        self._waiting: list[tuple[LateReader, list[bytes], int]] = []
        self._chunks = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._chunks

    def add(self, reader: LateReader, chunks: list[bytes], ns: int, size: int) -> None:
        """``size``: bytes of all ``chunks``, or a little more."""
        self._waiting.append((reader, chunks, ns))
        self._chunks += len(chunks)
        self._bytes += size
        if self._chunks >= MOST or self._bytes >= MOST_BYTES:
            self.read()

    def read(self) -> None:
        """Everything that waits, in the order in which it came."""
        waiting, self._waiting, self._chunks, self._bytes = self._waiting, [], 0, 0
        for reader, chunks, ns in waiting:
            reader.read_late(chunks, ns)
