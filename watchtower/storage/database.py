"""The SQLite file: its schema, how it is created, and how it is opened for looking and for writing.

WAL with ``synchronous=FULL``: a commit that returned survives a power cut. The file is born under another name and
renamed when it is whole, so a database without its schema cannot exist. Looking never writes: a damaged file keeps
every byte, its write-ahead log included, for whoever examines it.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from watchtower.storage.head import sync_directory

DATABASE = "journal.db"
WAL = DATABASE + "-wal"
SHARED_MEMORY = DATABASE + "-shm"

APPLICATION_ID = 0x57545752  # "WTWR"
SCHEMA_VERSION = 1

SCHEMA = {
    "entries": (
        "CREATE TABLE entries(seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, incident TEXT NOT NULL,"
        " op_id TEXT NOT NULL, body TEXT NOT NULL, wall REAL NOT NULL, boot REAL NOT NULL, boot_id TEXT NOT NULL,"
        " version TEXT NOT NULL, prev_hash TEXT NOT NULL, hash TEXT NOT NULL) STRICT"
    ),
    "entries_by_incident": "CREATE INDEX entries_by_incident ON entries(incident, seq) WHERE incident <> ''",
    "snapshot": "CREATE TABLE snapshot(only INTEGER PRIMARY KEY CHECK (only = 1), state BLOB NOT NULL) STRICT",
    "outbox": (
        "CREATE TABLE outbox(seq INTEGER NOT NULL, sink TEXT NOT NULL, attempts INTEGER NOT NULL,"
        " retry_boot REAL, retry_wall REAL, retry_boot_id TEXT, hash TEXT NOT NULL,"
        " PRIMARY KEY (seq, sink)) STRICT, WITHOUT ROWID"
    ),
}


def create(directory: Path) -> None:
    """Make an empty database in ``directory``, 0600 and durable. Raises sqlite3.Error, OSError."""
    unborn = directory / (DATABASE + ".new")
    unborn.unlink(missing_ok=True)
    os.close(os.open(unborn, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(unborn, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous=FULL")
        build(connection)
    finally:
        connection.close()
    unborn.rename(directory / DATABASE)
    sync_directory(directory)


def build(connection: sqlite3.Connection) -> None:
    """Write the schema into an empty database, in one transaction."""
    connection.execute("BEGIN")
    for statement in SCHEMA.values():
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.execute("COMMIT")


def has_header(directory: Path) -> bool:
    """The file begins like a SQLite database. Asked before SQLite opens it, because SQLite takes an empty file for a
    new database and deletes the write-ahead log beside it, even when it may only read. Raises OSError."""
    with (directory / DATABASE).open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def open_for_reading(directory: Path) -> sqlite3.Connection:
    """A connection that changes neither the database nor its log. Raises sqlite3.Error."""
    address = (directory / DATABASE).absolute().as_uri() + "?mode=ro"
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)


def open_for_writing(directory: Path) -> sqlite3.Connection:
    """The writer's connection; proves that the file can be written. Raises sqlite3.Error."""
    address = (directory / DATABASE).absolute().as_uri() + "?mode=rw"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def open_in_memory() -> sqlite3.Connection:
    """The same tables without a disk."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    build(connection)
    return connection


def complaint(problem: Exception) -> str:
    """What went wrong, as a kind: never a path's content, a statement or a row."""
    if isinstance(problem, sqlite3.Error):
        return getattr(problem, "sqlite_errorname", "") or type(problem).__name__
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    return type(problem).__name__
