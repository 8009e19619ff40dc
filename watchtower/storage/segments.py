"""Segments: the files of a recording, each a row of checked frames. Format and reading; ``recording`` writes them.

A frame is ``length crc32 body``; the first body of a segment is its ``SegmentHead``, every other one ``[at, item]``, in
msgpack. A daemon that dies leaves a torn last frame: reading a segment ends there, without an error. What a newer
Watchtower recorded and this one does not know is passed over. One segment belongs to one boot of the machine, so its
head turns CLOCK_BOOTTIME into wall time.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from watchtower.vocabulary.errors import StorageFault
from watchtower.vocabulary.facts import AnyFact
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.records import Entry

DIRECTORY: Final = "recording"
"""Below the state directory."""
FORMAT: Final = 1
_FRAME: Final = struct.Struct("<II")
_LARGEST_BODY: Final = 16 * 1024 * 1024
_NAME_DIGITS: Final = 10


class RecordedEntry(msgspec.Struct, frozen=True, tag="journal_entry", tag_field="fact", omit_defaults=True):
    """An event of ours among the facts: an entry that the journal took."""

    kind: str
    body: dict[str, Any] = {}
    incident: str = ""
    op_id: str = ""

    @classmethod
    def of(cls, entry: Entry) -> RecordedEntry:
        return cls(entry.kind, entry.body, entry.incident, entry.op_id)

    def entry(self) -> Entry:
        return Entry(self.kind, self.body, self.incident, self.op_id)


class SegmentHead(msgspec.Struct, frozen=True, kw_only=True):
    """What the frames of a segment have in common."""

    format: int
    version: str
    """Watchtower's, that wrote it."""
    boot_id: str
    wall_minus_boot: float
    """Seconds to add to CLOCK_BOOTTIME for Unix time."""


class Recorded(NamedTuple):
    """One thing of a recording."""

    at: Instant
    """When it was seen (a fact) or written down (an entry)."""
    item: AnyFact | Entry


_encode = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(SegmentHead).decode
_decode = msgspec.msgpack.Decoder(tuple[float, AnyFact | RecordedEntry]).decode


def framed(body: object) -> bytes:
    """One frame."""
    encoded = _encode(body)
    return _FRAME.pack(len(encoded), zlib.crc32(encoded)) + encoded


def segments(directory: Path) -> list[Path]:
    """Of a recording, oldest first; none where there is no recording. Raises OSError."""
    try:
        names = [path for path in directory.iterdir() if path.suffix == ".segment" and path.stem.isdecimal()]
    except FileNotFoundError:
        return []
    return sorted(names)


def name_after(newest: Path | None) -> str:
    """The next segment's: names count up, so that their order is that of time, whatever clocks did."""
    number = int(newest.stem) + 1 if newest else 1
    return f"{number:0{_NAME_DIGITS}}.segment"


def read(state_directory: Path, since: float, until: float) -> Iterator[Recorded]:
    """What was recorded from ``since`` to ``until`` (Unix seconds, both included), in the order of its writing. A
    segment that is dropped meanwhile is passed over. Raises StorageFault when the disk refuses."""
    try:
        for path in segments(state_directory / DIRECTORY):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue
            for recorded in _read_segment(content):
                if since <= recorded.at.wall <= until:
                    yield recorded
    except OSError as problem:
        raise StorageFault(f"the recording cannot be read ({problem.strerror})") from problem


def _read_segment(content: bytes) -> Iterator[Recorded]:
    bodies = _bodies(content)
    try:
        head = _decode_head(next(bodies, b""))
    except msgspec.MsgspecError:
        return
    if head.format != FORMAT:
        return
    for body in bodies:
        try:
            at, item = _decode(body)
        except msgspec.MsgspecError:
            continue
        instant = Instant(at, at + head.wall_minus_boot, head.boot_id)
        yield Recorded(instant, item.entry() if isinstance(item, RecordedEntry) else item)


def _bodies(content: bytes) -> Iterator[bytes]:
    """Up to the first frame that is not whole."""
    place = 0
    while len(content) - place >= _FRAME.size:
        length, check = _FRAME.unpack_from(content, place)
        place += _FRAME.size
        body = content[place : place + length]
        if length > _LARGEST_BODY or len(body) < length or zlib.crc32(body) != check:
            return
        yield body
        place += length
