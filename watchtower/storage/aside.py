"""The documented way out of a damaged journal: a person has looked, and says "go on without it".

The files are moved, never deleted, into a directory named after the moment. Budgets, attempts and open intents in them
are forgotten by that act, which is why only a person does it, and only while no daemon runs.
"""

from __future__ import annotations

from pathlib import Path

from watchtower.storage import database
from watchtower.storage.head import HEAD, sync_directory
from watchtower.storage.lease import Lease
from watchtower.vocabulary.errors import StorageFault
from watchtower.vocabulary.instants import Instant

_FILES = (database.DATABASE, database.WAL, database.SHARED_MEMORY, HEAD)
"""The head goes last: until then an interrupted move still reads as damage, not as a first start."""


def present(directory: Path) -> list[str]:
    """Names of the journal's files that are there."""
    return [name for name in _FILES if (directory / name).exists()]


def set_aside(directory: Path, now: Instant) -> Path:
    """Move the journal's files into ``directory/set-aside-<UTC time>`` and return that path. The next start begins a
    new journal. Raises Refused while a daemon holds the lease, StorageFault when there is nothing to move or the disk
    refuses."""
    lease = Lease.take(directory)
    try:
        names = present(directory)
        if not names:
            raise StorageFault("there is no journal here to set aside")
        destination = directory / f"set-aside-{now.iso().replace(':', '').replace('.', '-')}"
        destination.mkdir(mode=0o700)
        for name in names:
            (directory / name).rename(destination / name)
            sync_directory(destination)
            sync_directory(directory)
        return destination
    except OSError as problem:
        raise StorageFault(f"the journal cannot be set aside ({problem.strerror})") from problem
    finally:
        lease.release()
