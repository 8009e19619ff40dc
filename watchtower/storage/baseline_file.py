"""What was learned while nothing was wrong, over restarts of the daemon: one small file, replaced atomically.

A lost or unreadable baseline costs only time (it is learned again, and until then load explains nothing), so nothing
here raises.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

LARGEST_BYTES = 4 * 1024 * 1024


class BaselineFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: bytes | None = None

    def read(self) -> bytes | None:
        """The stored baseline; None when there is none that can be read."""
        try:
            with self._path.open("rb") as file:
                return file.read(LARGEST_BYTES)
        except OSError:
            return None

    def write(self, content: bytes) -> None:
        """Replace the file (0600) if anything changed; a reader sees the old or the new one, never half."""
        if content == self._written:
            return
        beside = self._path.with_suffix(".new")
        with contextlib.suppress(OSError):
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
            self._written = content
