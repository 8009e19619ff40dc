"""Segments are read as far as they are whole, whoever wrote them and however their writer died."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from watchtower.storage.segments import (
    DIRECTORY,
    FORMAT,
    RecordedEntry,
    SegmentHead,
    framed,
    name_after,
    read,
    segments,
)
from watchtower.vocabulary.errors import StorageFault
from watchtower.vocabulary.facts import LoopLagged
from watchtower.vocabulary.records import Entry

HEAD = SegmentHead(format=FORMAT, version="1", boot_id="boot-a", wall_minus_boot=1000.0)


def write(directory: Path, name: str, *frames: bytes) -> Path:
    (directory / DIRECTORY).mkdir(exist_ok=True)
    path = directory / DIRECTORY / name
    path.write_bytes(b"".join(frames))
    return path


def lag(at: float) -> bytes:
    return framed((at, LoopLagged(at=at, seconds=1.0)))


def instants(directory: Path, since: float = 0, until: float = 1e9) -> list[float]:
    return [recorded.at.boot for recorded in read(directory, since, until)]


def test_a_torn_tail_ends_the_segment_wherever_it_was_torn(tmp_path: Path) -> None:
    whole = framed(HEAD) + lag(1.0) + lag(2.0)
    for length in range(len(whole)):
        write(tmp_path, "0000000001.segment", whole[:length])
        assert instants(tmp_path) in ([], [1.0])
    write(tmp_path, "0000000001.segment", whole)
    assert instants(tmp_path) == [1.0, 2.0]


def test_a_flipped_byte_ends_the_segment_and_the_next_one_is_read(tmp_path: Path) -> None:
    damaged = bytearray(framed(HEAD) + lag(1.0) + lag(2.0))
    damaged[-3] ^= 1
    write(tmp_path, "0000000001.segment", bytes(damaged))
    write(tmp_path, "0000000002.segment", framed(HEAD), lag(3.0))
    assert instants(tmp_path) == [1.0, 3.0]


def test_only_what_lies_between_the_two_instants_is_read_both_included(tmp_path: Path) -> None:
    write(tmp_path, "0000000001.segment", framed(HEAD), *(lag(float(at)) for at in range(5)))
    assert instants(tmp_path, 1001.0, 1003.0) == [1.0, 2.0, 3.0]


def test_each_segment_knows_the_boot_that_its_instants_belong_to(tmp_path: Path) -> None:
    later = SegmentHead(format=FORMAT, version="1", boot_id="boot-b", wall_minus_boot=5000.0)
    write(tmp_path, "0000000001.segment", framed(HEAD), lag(100.0))
    write(tmp_path, "0000000002.segment", framed(later), lag(3.0))
    found = [(recorded.at.boot_id, recorded.at.wall) for recorded in read(tmp_path, 0, 1e9)]
    assert found == [("boot-a", 1100.0), ("boot-b", 5003.0)]


def test_what_a_newer_version_recorded_is_passed_over(tmp_path: Path) -> None:
    unknown_fact = framed((1.5, {"fact": "of_tomorrow", "at": 1.5}))
    more_fields = framed((1.7, {"fact": "loop_lagged", "at": 1.7, "seconds": 2.0, "cause": "swap"}))
    write(tmp_path, "0000000001.segment", framed(HEAD), lag(1.0), unknown_fact, more_fields, lag(2.0))
    other = SegmentHead(format=FORMAT + 1, version="9", boot_id="boot-a", wall_minus_boot=0.0)
    write(tmp_path, "0000000002.segment", framed(other), lag(3.0))
    assert instants(tmp_path) == [1.0, 1.7, 2.0]


def test_an_entry_of_the_journal_comes_back_as_one(tmp_path: Path) -> None:
    entry = Entry("action.intent", {"verb": "restart_group"}, "inc-1", "op-1")
    write(tmp_path, "0000000001.segment", framed(HEAD), framed((1.0, RecordedEntry.of(entry))))
    assert [recorded.item for recorded in read(tmp_path, 0, 1e9)] == [entry]


def test_names_count_up_past_any_gap(tmp_path: Path) -> None:
    assert name_after(None) == "0000000001.segment"
    write(tmp_path, "0000000041.segment")
    write(tmp_path, "notes.txt")
    present = segments(tmp_path / DIRECTORY)
    assert [path.name for path in present] == ["0000000041.segment"]
    assert name_after(present[-1]) == "0000000042.segment"


def test_where_nothing_was_recorded_nothing_is_read(tmp_path: Path) -> None:
    assert list(read(tmp_path, 0, 1e9)) == []


def test_a_disk_that_refuses_is_our_own_error(tmp_path: Path) -> None:
    (tmp_path / DIRECTORY).write_text("no directory")
    with pytest.raises(StorageFault, match="cannot be read"):
        list(read(tmp_path, 0, 1e9))


def test_the_form_of_a_segment_does_not_change_unnoticed(tmp_path: Path) -> None:
    """Written byte for byte: recordings of this version must be readable by every later one."""
    body = msgspec.msgpack.encode([2.0, {"fact": "loop_lagged", "at": 2.0, "seconds": 1.0}])
    head = msgspec.msgpack.encode({"format": 1, "version": "1", "boot_id": "b", "wall_minus_boot": 10.0})
    import zlib

    raw = b"".join(
        len(part).to_bytes(4, "little") + zlib.crc32(part).to_bytes(4, "little") + part for part in (head, body)
    )
    write(tmp_path, "0000000001.segment", raw)
    assert [recorded.at.wall for recorded in read(tmp_path, 0, 1e9)] == [12.0]
