"""A small SQLite file for this user alone (0600).

It is opened anew for every call: nothing is held over a fork or a full disk.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from watchtower.vocabulary.errors import StorageFault

BUSY_SECONDS = 5.0


class PrivateFile:
    """Made at the first ``open``, never before."""

    def __init__(self, path: Path, of: str, *opening: str) -> None:
        """``of``: what is in it, for messages. ``opening``: pragmas and schema, executed at each opening."""
        self.path = path
        self._of = of
        self._opening = opening

    def open(self) -> sqlite3.Connection:
        """Raises sqlite3.Error and OSError."""
        if not self.path.exists():
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS)
        for statement in self._opening:
            connection.execute(statement)
        return connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction. Raises StorageFault for whatever the disk says."""
        try:
            with closing(self.open()) as connection, connection:
                yield connection
        except (sqlite3.Error, OSError) as problem:
            raise StorageFault(f"{self.path}: {type(problem).__name__}; {self._of} cannot be written") from problem
