"""What the daemon remembers, and where: the lease, the journal, the last state. A fault of the disk means: observe.

Without a lease nothing could be remembered about an engine, a relay worker or a cure, so such a daemon only looks on:
in memory, in a directory of its own that it takes along when it ends.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from watchtower.knobs import SupervisorSettings
from watchtower.remediation.snapshots import decode
from watchtower.remediation.state import TargetState
from watchtower.settings import Settings
from watchtower.storage.journal import MemoryJournal, SqliteJournal
from watchtower.storage.lease import Lease
from watchtower.vocabulary.errors import BadInput, Problem, StorageFault


@dataclass(frozen=True)
class Storage:
    """Open until the daemon's stack is unwound."""

    lease: Lease | None
    journal: SqliteJournal
    directory: Path
    state: TargetState
    """As it was when the daemon before us last committed."""
    fault: str
    """Why the disk cannot be trusted, "" when it can."""

    def lease_held(self) -> bool:
        return self.lease is not None and self.lease.held()


def open_storage(settings: Settings, stack: AsyncExitStack) -> Storage:
    """A state that cannot be read stays on disk untouched, for the version that wrote it or for a person.

    Raises Refused when another daemon holds the lease, BadInput when there is no directory to be had at all."""
    lease, journal, fault = _opened(settings)
    if lease:
        stack.callback(lease.release)
    stack.push_async_callback(journal.close)
    directory = settings.state_directory if lease else _makeshift(settings, stack)
    state = TargetState(target=settings.target)
    if (snapshot := journal.latest_snapshot()) is not None:
        try:
            state = decode(snapshot)
        except StorageFault as problem:  # the disk keeps it: a first commit of ours would replace it by an empty one
            fault = str(problem)
            journal = MemoryJournal(fault)
            stack.push_async_callback(journal.close)
    return Storage(lease, journal, directory, state, fault)


def supervised(settings: Settings, storage: Storage) -> SupervisorSettings:
    """Without a state directory nothing could be remembered about an engine: then we only look on."""
    return settings.supervisor if storage.lease else SupervisorSettings()


def _opened(settings: Settings) -> tuple[Lease | None, SqliteJournal, str]:
    try:
        lease = Lease.take(settings.state_directory)
    except StorageFault as problem:
        return None, MemoryJournal(str(problem)), str(problem)
    journal, fault = SqliteJournal.open(settings.state_directory)
    return lease, journal or MemoryJournal(fault), fault


def _makeshift(settings: Settings, stack: AsyncExitStack) -> Path:
    try:
        directory = Path(tempfile.mkdtemp(prefix="watchtower-"))
    except OSError as problem:
        what = f"{settings.state_directory} is unusable, and there is no temporary directory either"
        cure = "make it a directory that this user may write to"
        raise BadInput([Problem("configuration", "state_directory", what, cure)]) from problem
    stack.callback(shutil.rmtree, directory, ignore_errors=True)
    return directory
