"""The reference sets of this server, in a SQLite file of their own (0600): one row a set, retired ones kept.

What is stored are answers to our own questions, their embeddings and log-probabilities; users' words never come here.
A set is written whole or not at all. Losing the file loses no safety: without references meaning reads UNKNOWN.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from watchtower.storage.private import PrivateFile
from watchtower.vocabulary.errors import BadInput, Problem, StorageFault
from watchtower.vocabulary.references import FORMAT, ReferenceKey, ReferenceSet

DATABASE = "references.db"
LARGEST_BYTES = 64 * 1024 * 1024
"""Of one exported set."""
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS sets(id TEXT PRIMARY KEY, captured_wall REAL NOT NULL, retired INTEGER NOT NULL,"
    " body BLOB NOT NULL) STRICT"
)


class Stored(NamedTuple):
    references: ReferenceSet
    retired: bool


class ReferenceStore:
    """All sets, the retired ones too."""

    def __init__(self, directory: Path) -> None:
        self._file = PrivateFile(directory / DATABASE, "references", "PRAGMA synchronous=FULL", _SCHEMA)
        self._path = self._file.path

    def all(self) -> list[Stored]:
        """Newest first. Raises StorageFault."""
        if not self._path.exists():
            return []
        try:
            with closing(self._file.open()) as connection:
                rows = connection.execute("SELECT body, retired FROM sets ORDER BY captured_wall DESC, id").fetchall()
            return [Stored(msgspec.json.decode(body, type=ReferenceSet), bool(retired)) for body, retired in rows]
        except (sqlite3.Error, OSError, msgspec.MsgspecError) as problem:
            raise StorageFault(f"{self._path}: {type(problem).__name__}; references cannot be read") from problem

    def blessed(self, key: ReferenceKey) -> ReferenceSet | None:
        """The newest set under ``key`` that is not retired. Raises StorageFault."""
        return next(
            (stored.references for stored in self.all() if not stored.retired and stored.references.key == key), None
        )

    def bless(self, references: ReferenceSet) -> None:
        """Keep ``references``; older sets under the same key are retired. Raises StorageFault."""
        body = msgspec.json.encode(references)
        same = [stored.references.id for stored in self.all() if stored.references.key == references.key]
        with self._file.writing() as connection:
            connection.executemany("UPDATE sets SET retired = 1 WHERE id = ?", [(id,) for id in same])
            row = (references.id, references.captured_wall, body)
            connection.execute("INSERT OR REPLACE INTO sets VALUES (?, ?, 0, ?)", row)

    def retire(self, id: str) -> bool:
        """Use set ``id`` no longer; False: there is none. Raises StorageFault."""
        if not self._path.exists():
            return False
        with self._file.writing() as connection:
            return connection.execute("UPDATE sets SET retired = 1 WHERE id = ?", (id,)).rowcount > 0


def imported(document: bytes, name: str) -> ReferenceSet:
    """An exported set. Raises BadInput for anything else."""
    try:
        references = msgspec.json.decode(document, type=ReferenceSet)
    except msgspec.MsgspecError as problem:
        cure = "write it with 'watchtower references export'"
        # of a wrong shape msgspec names the field and both types, never a value
        wrong = str(problem).replace("`", "'") if isinstance(problem, msgspec.ValidationError) else "not JSON"
        raise BadInput([Problem(name, "", f"this is no exported reference set: {wrong}", cure)]) from problem
    if references.format != FORMAT:
        what = f"format {references.format} is not known"
        raise BadInput([Problem(name, "format", what, f"this Watchtower reads format {FORMAT}")])
    if not references.references:
        raise BadInput([Problem(name, "references", "the set is empty", "capture one and export it")])
    return references
