"""The recorder: what was seen and decided, kept for a while in bounded files, for explanations, backtests and replay.

It is evidence, not memory: nothing waits for it, nothing is synced, and whatever it cannot keep is dropped and counted.
``append`` only puts a reference into a bounded queue; encoding and writing happen in a thread, twice a second. Facts
carry no text of users, and only facts and journal entries are taken: a sample of an answer is refused by its type.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from watchtower import __version__
from watchtower.ports import Clock
from watchtower.storage.segments import DIRECTORY, FORMAT, RecordedEntry, SegmentHead, framed, name_after, segments
from watchtower.vocabulary.facts import AnyFact
from watchtower.vocabulary.records import Entry

CAPACITY: Final = 4096
"""Things that may wait for the thread: a minute of busy traffic."""
FLUSH_SECONDS: Final = 0.5
SEGMENTS: Final = 16
"""A full recording has about so many: dropping the oldest loses a sixteenth."""
MOST_SEGMENTS: Final = 256
"""Daemons that die young leave small segments; beyond so many the oldest goes, however small."""
SMALLEST_SEGMENT_BYTES: Final = 64 * 1024

_TAKEN: Final = frozenset({*AnyFact.__args__, Entry})


class NullRecorder:
    """``ports.Recorder`` that keeps nothing."""

    capacity = 0
    waiting: tuple[()] = ()
    dropped = 0

    def append(self, at: float, item: AnyFact | Entry) -> None:
        pass


class SegmentRecorder:
    """``ports.Recorder`` in ``<state directory>/recording`` (0700, files 0600)."""

    capacity = CAPACITY

    def __init__(self, state_directory: Path, total_bytes: int, clock: Clock) -> None:
        """``total_bytes``: of all segments together, never exceeded."""
        self._directory = state_directory / DIRECTORY
        self._total_bytes = total_bytes
        self._segment_bytes = min(total_bytes, max(SMALLEST_SEGMENT_BYTES, total_bytes // SEGMENTS))
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recording")
        self._file: int | None = None
        self._written = 0
        self.waiting: deque[tuple[float, AnyFact | Entry]] = deque()
        self.dropped = 0
        """Fell off the queue, cannot be encoded, is larger than a segment, or met a disk that refused."""
        self.refused = 0
        """Neither a fact nor an entry."""
        self.fault = ""
        """Why the disk took nothing of the last flush; "" when it did."""

    def append(self, at: float, item: AnyFact | Entry) -> None:
        if type(item) not in _TAKEN:
            self.refused += 1
        elif len(self.waiting) >= CAPACITY:
            self.dropped += 1
        else:
            self.waiting.append((at, item))

    async def run(self) -> None:
        """Write what waits, again and again; ends only when cancelled."""
        while True:
            await self._clock.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write what waits now. Never raises for the disk."""
        batch = [self.waiting.popleft() for _ in range(len(self.waiting))]
        if batch:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._write, batch)

    async def close(self) -> None:
        """Write what waits and let go of the file."""
        await self.flush()
        self._thread.shutdown()
        self._leave_segment()

    # ── on the thread ───────────────────────────────────────────────────────────────────────────

    def _write(self, batch: list[tuple[float, AnyFact | Entry]]) -> None:
        kept, chunk, size = 0, list[bytes](), 0
        try:
            for at, item in batch:
                try:
                    frame = framed((at, RecordedEntry.of(item) if isinstance(item, Entry) else item))
                except (TypeError, OverflowError):  # an entry's body that is not JSON, or a number that is none of ours
                    continue
                if self._written + size + len(frame) > self._segment_bytes or self._file is None:
                    kept += self._put(chunk)
                    chunk, size = [], 0
                    self._begin_segment()
                    if self._written + len(frame) > self._segment_bytes:
                        continue
                chunk.append(frame)
                size += len(frame)
            kept += self._put(chunk)
            self.fault = ""
        except OSError as problem:
            self._leave_segment()
            self.fault = f"the recording cannot be written ({problem.strerror})"
        self.dropped += len(batch) - kept

    def _put(self, frames: list[bytes]) -> int:
        """Write ``frames`` into the open segment; how many. Raises OSError."""
        data = b"".join(frames)
        if data and self._file is not None:
            if os.write(self._file, data) != len(data):
                raise OSError(0, "short write")
            self._written += len(data)
        return len(frames)

    def _begin_segment(self) -> None:
        """A fresh file, and room for it: an old segment is never written to again, so a torn tail stays one."""
        self._leave_segment()
        self._directory.mkdir(mode=0o700, exist_ok=True)
        present = segments(self._directory)
        sizes = {path: path.stat().st_size for path in present}
        for path in present:
            if len(sizes) < MOST_SEGMENTS and sum(sizes.values()) + self._segment_bytes <= self._total_bytes:
                break
            path.unlink()
            del sizes[path]
        path = self._directory / name_after(present[-1] if present else None)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._written, now = 0, self._clock.now()
        head = SegmentHead(format=FORMAT, version=__version__, boot_id=now.boot_id, wall_minus_boot=now.wall - now.boot)
        self._put([framed(head)])

    def _leave_segment(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def forget(state_directory: Path) -> None:
    """Recording was turned off: nothing stays, as far as the disk lets go of it."""
    with contextlib.suppress(OSError):
        for path in segments(state_directory / DIRECTORY):
            path.unlink()
