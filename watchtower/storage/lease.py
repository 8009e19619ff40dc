"""One daemon per state directory: an advisory lock that dies with its holder.

``flock`` needs no clean-up after a kill and no clock: a second daemon is refused at once, with the holder's pid. The
lock belongs to the open file, so a child started with exec does not keep it, and ``held`` also notices a lock file
that was deleted or replaced under us. It guards one machine; a state directory shared over a network needs more.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from watchtower.vocabulary.errors import Refused, StorageFault

LEASE = "lease"


class Lease:
    """Held from ``take`` to ``release``, or to the end of the process."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path

    @classmethod
    def take(cls, directory: Path) -> Lease:
        """Raises Refused when another process holds it, StorageFault when the directory cannot be used."""
        path = directory / LEASE
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise StorageFault(f"the state directory is unusable ({problem.strerror})") from problem
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lease = cls(descriptor, path)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as problem:
            holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise Refused(
                f"another Watchtower (pid {holder}) already uses the state directory {directory}"
            ) from problem
        except OSError as problem:
            os.close(descriptor)
            raise StorageFault(f"the lease cannot be written ({problem.strerror})") from problem
        return lease

    def held(self) -> bool:
        """The lock file that we locked is still the one that others would lock."""
        try:
            ours, named = os.fstat(self._descriptor), os.stat(self._path)
        except OSError:
            return False
        return (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino)

    def release(self) -> None:
        """Let the next one in. Twice is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
