"""The keeper's ledger: an append-only file of checked JSON lines, each durable before ``append`` returns.

Why not SQLite: the keeper must stay a few MB, start in milliseconds and be readable with ``cat`` at night. Each line is
``crc32 json``. A torn last line was never acknowledged and is cut off at opening; any other damaged line means that the
file cannot be trusted, and the ledger refuses to open. After a failed write or sync nothing more is accepted: what the
disk then holds is unknown. It grows by a few lines per restart of the engine, so it is never rewritten.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from threading import Lock

import msgspec

from watchtower.vocabulary.errors import StorageFault
from watchtower.vocabulary.operations import EngineExited, EngineStarted, FenceRaised, KeeperRecord, Operation


class OpLedger:
    """What is remembered, folded: the latest record of each operation, the fence, the last engine."""

    def __init__(self, path: Path) -> None:
        """Open or create ``path`` (mode 0600). Raises ``StorageFault`` when it cannot be read or trusted."""
        self.operations: dict[str, Operation] = {}
        self.fence = 0
        self.engine: EngineStarted | None = None
        self.exited: EngineExited | None = None
        self._path = path
        self._lock = Lock()
        self._fault = ""
        self._encode = msgspec.json.Encoder().encode
        decode = msgspec.json.Decoder(KeeperRecord).decode
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            content = path.read_bytes()
            good = content.rfind(b"\n") + 1
            if good < len(content):
                os.ftruncate(self._file, good)
            os.fsync(self._file)
            _sync_directory(path.parent)
        except OSError as problem:
            raise StorageFault(f"{path}: {problem.strerror}") from problem
        for number, line in enumerate(content[:good].splitlines(), start=1):
            try:
                check, _, body = line.partition(b" ")
                if int(check, 16) != zlib.crc32(body):
                    raise ValueError("checksum differs")
                self._fold(decode(body))
            except ValueError as problem:  # msgspec's errors are ValueErrors, too
                raise StorageFault(f"{path}:{number}: damaged record, the ledger cannot be trusted") from problem

    def append(self, record: KeeperRecord) -> None:
        """Make ``record`` durable, then believe it. Raises ``StorageFault``: then nothing may be done because of it."""
        body = self._encode(record)
        line = b"%08x %s\n" % (zlib.crc32(body), body)
        with self._lock:
            if self._fault:
                raise StorageFault(self._fault)
            try:
                if os.write(self._file, line) != len(line):
                    raise OSError(0, "short write")
                os.fsync(self._file)
            except OSError as problem:
                self._fault = (
                    f"{self._path}: {problem.strerror}; nothing more is accepted until the keeper is restarted"
                )
                raise StorageFault(self._fault) from problem
            self._fold(record)

    def close(self) -> None:
        os.close(self._file)

    def _fold(self, record: KeeperRecord) -> None:
        match record:
            case Operation():
                self.operations[record.op_id] = record
                self.fence = max(self.fence, record.fence_token)
            case FenceRaised():
                self.fence = max(self.fence, record.token)
            case EngineStarted():
                self.engine, self.exited = record, None
            case EngineExited():
                if self.engine is not None and self.engine.incarnation == record.incarnation:
                    self.exited = record


def _sync_directory(directory: Path) -> None:
    """A new file's name is durable only when its directory is."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
