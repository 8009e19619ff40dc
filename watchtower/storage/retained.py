"""Texts of samples that a person asked to keep: redacted before they come here, in a SQLite file of their own (0600),
each with its end. What is deleted is overwritten (``secure_delete``); without retention there is no file.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from watchtower.storage.private import PrivateFile
from watchtower.vocabulary.errors import StorageFault

DATABASE = "retained.db"
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS samples(id TEXT PRIMARY KEY, wall REAL NOT NULL, ends REAL NOT NULL,"
    " body BLOB NOT NULL) STRICT"
)


class Retained(msgspec.Struct, frozen=True, kw_only=True):
    """One kept sample."""

    id: str
    """Of the exchange, and when."""
    wall: float
    prompt: str
    """Keyed hash, as ``watchtower drift`` names it."""
    alone: bool
    """The conversation was this one question: asked again, it means the same."""
    question: str
    answer: str
    redacted: int
    """Passages that were taken out of both."""
    vector: bytes = b""
    """Embedding of the question, float16; empty without an encoder."""

    def __repr__(self) -> str:
        return f"Retained(id={self.id!r}, …)"


class RetainedStore:
    """What was kept, and until when."""

    def __init__(self, directory: Path) -> None:
        self._file = PrivateFile(directory / DATABASE, "kept samples", "PRAGMA secure_delete=ON", _SCHEMA)
        self._path = self._file.path

    def keep(self, samples: list[Retained], ends: float, most: int) -> None:
        """Until ``ends`` (Unix time), and at most the newest ``most``. Raises StorageFault."""
        rows = [(sample.id, sample.wall, ends, msgspec.msgpack.encode(sample)) for sample in samples]
        with self._file.writing() as connection:
            connection.executemany("INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?)", rows)
            connection.execute(
                "DELETE FROM samples WHERE id NOT IN (SELECT id FROM samples ORDER BY wall DESC LIMIT ?)", (most,)
            )

    def forget(self, now: float) -> int:
        """Delete what has ended; how many. Raises StorageFault."""
        if not self._path.exists():
            return 0
        with self._file.writing() as connection:
            return connection.execute("DELETE FROM samples WHERE ends <= ?", (now,)).rowcount

    def forget_all(self) -> None:
        """Retention was turned off: nothing stays. Raises StorageFault."""
        if self._path.exists():
            with self._file.writing() as connection:
                connection.execute("DELETE FROM samples")
            self._path.unlink()

    def all(self, now: float) -> list[Retained]:
        """What has not ended, newest first. Raises StorageFault."""
        if not self._path.exists():
            return []
        try:
            with closing(self._file.open()) as connection:
                rows = connection.execute("SELECT body FROM samples WHERE ends > ? ORDER BY wall DESC", (now,))
                return [msgspec.msgpack.decode(body, type=Retained) for (body,) in rows]
        except (sqlite3.Error, OSError, msgspec.MsgspecError) as problem:
            raise StorageFault(f"{self._path}: {type(problem).__name__}; kept samples cannot be read") from problem
