"""The head file: how long the chain is, outside the database.

SQLite takes a truncated write-ahead log for a shorter history, and a restored old copy for the truth. The head file
says what was already promised: a database that ends before it has lost entries. The reverse (rows beyond the head) is
what a crash between commit and head leaves behind, and is fine. Replaced atomically, synced with its directory.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

HEAD = "journal.head"
_FORM = re.compile(rb"watchtower-head 1 (0|[1-9][0-9]{0,17}) ([0-9a-f]{64})\n")


class Head(NamedTuple):
    sequence: int
    hash: str

    def encoded(self) -> bytes:
        return f"watchtower-head 1 {self.sequence} {self.hash}\n".encode()


def read(directory: Path) -> Head | None:
    """The head, or None when there is no such file. Raises OSError, and ValueError when it is not a head."""
    try:
        with (directory / HEAD).open("rb") as file:
            raw = file.read(256)
    except FileNotFoundError:
        return None
    found = _FORM.fullmatch(raw)
    if found is None:
        raise ValueError("the head file is not readable as one")
    return Head(int(found[1]), found[2].decode())


def replace(directory: Path, head: Head) -> None:
    """Durable when it returns: the file, then its name. Raises OSError."""
    fresh = directory / (HEAD + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, head.encoded())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.rename(directory / HEAD)
    sync_directory(directory)


def sync_directory(directory: Path) -> None:
    """Make names in ``directory`` durable. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
