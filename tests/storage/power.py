"""Power loss, modelled: what was never synced is gone.

``os.fsync`` is watched, and what it made durable is remembered: of a file its content at that moment, of a directory
its names. ``lose_power`` builds the directory that a machine would find when the lights come back: only synced names,
each with only synced content. SQLite syncs from C, out of sight here; ``test_durability`` counts its calls instead.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest


class Disk:
    """A directory, and what of it would survive."""

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch) -> None:
        """What lies in ``directory`` now counts as durable."""
        self.directory = directory
        self._contents: dict[int, bytes] = {}
        self._names: dict[str, int] = {}
        self._fsync = os.fsync
        for path in directory.iterdir():
            self._contents[path.stat().st_ino] = path.read_bytes()
        self._remember_names()
        patch.setattr(os, "fsync", self._synced)

    @property
    def names(self) -> set[str]:
        """Names that would survive."""
        return set(self._names)

    def lose_power(self, into: Path) -> Path:
        """Fill ``into`` with what survives."""
        into.mkdir()
        for name, inode in self._names.items():
            (into / name).write_bytes(self._contents.get(inode, b""))
        return into

    def _synced(self, descriptor: int) -> None:
        self._fsync(descriptor)
        seen = os.fstat(descriptor)
        if stat.S_ISDIR(seen.st_mode):
            if seen.st_ino == self.directory.stat().st_ino:
                self._remember_names()
        else:
            self._contents[seen.st_ino] = Path(f"/proc/self/fd/{descriptor}").read_bytes()

    def _remember_names(self) -> None:
        self._names = {path.name: path.stat().st_ino for path in self.directory.iterdir()}
