"""A recording is bounded, holds up nobody, and holds no text of users."""

from __future__ import annotations

import asyncio
import stat
import typing
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from watchtower.storage import recording
from watchtower.storage.recording import NullRecorder, SegmentRecorder, forget
from watchtower.storage.segments import DIRECTORY, read, segments
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.facts import AnyFact, LoopLagged, RelayFrame
from watchtower.vocabulary.records import Entry
from watchtower.vocabulary.samples import ExchangeSampled

MEBIBYTE = 1024 * 1024


def made(kind: Any) -> Any:
    """The plainest value of a type."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        needed = (field for field in msgspec.structs.fields(kind) if field.required)
        return kind(**{field.name: made(field.type) for field in needed})
    if typing.get_args(kind) and not isinstance(kind, type):
        return made(typing.get_args(kind)[0])
    return next(iter(kind)) if hasattr(kind, "__members__") else kind()


def frame(at: float, text: str = "") -> RelayFrame:
    return RelayFrame(at=at, worker=0, pid=1, sequence=int(at), open_exchanges=0, hold_op=text)


def size(directory: Path) -> int:
    return sum(path.stat().st_size for path in segments(directory / DIRECTORY))


async def recorded(directory: Path, *facts: AnyFact, total_bytes: int = MEBIBYTE) -> SegmentRecorder:
    recorder = SegmentRecorder(directory, total_bytes, HandClock())
    for fact in facts:
        recorder.append(fact.at, fact)
    await recorder.close()
    return recorder


@pytest.mark.parametrize("kind", AnyFact.__args__, ids=lambda kind: kind.__name__)
async def test_every_fact_comes_back_as_it_was(tmp_path: Path, kind: Any) -> None:
    fact = made(kind)
    recorder = await recorded(tmp_path, fact)
    assert (recorder.dropped, recorder.refused) == (0, 0)
    assert [found.item for found in read(tmp_path, -1e12, 1e12)] == [fact]


async def test_an_entry_stands_among_the_facts_in_the_order_of_writing(tmp_path: Path) -> None:
    recorder, entry = SegmentRecorder(tmp_path, MEBIBYTE, HandClock()), Entry("incident.open", {"from": "ok"}, "inc-1")
    recorder.append(1000.0, frame(1000.0))
    recorder.append(1001.0, entry)
    recorder.append(1001.5, frame(1001.5))
    await recorder.close()
    assert [found.item for found in read(tmp_path, 0, 1e12)] == [frame(1000.0), entry, frame(1001.5)]


async def test_a_sample_of_an_answer_is_refused_and_never_reaches_the_disk(tmp_path: Path) -> None:
    sample = ExchangeSampled(at=1.0, id="x", model="m", prompt="p", question="who am I", answer="a secret of mine")
    recorder = SegmentRecorder(tmp_path, MEBIBYTE, HandClock())
    recorder.append(1.0, cast(AnyFact, sample))
    recorder.append(1.0, frame(1.0))
    await recorder.close()
    assert recorder.refused == 1
    written = b"".join(path.read_bytes() for path in segments(tmp_path / DIRECTORY))
    assert written and b"secret" not in written and b"who am I" not in written


def test_no_fact_has_a_field_for_a_text_of_users() -> None:
    telling = {"question", "answer", "prompt", "text", "content", "message", "body", "messages", "completion"}
    found: set[tuple[str, str]] = set()

    def look(kind: Any) -> None:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            for field in msgspec.structs.fields(kind):
                if field.name in telling:
                    found.add((kind.__name__, field.name))
                look(field.type)
        for inner in typing.get_args(kind):
            look(inner)

    look(AnyFact)
    assert found == set()
    look(ExchangeSampled)
    assert found, "the search itself finds them where they are"


async def test_the_files_together_never_exceed_the_bound_and_the_oldest_goes_first(tmp_path: Path) -> None:
    recorder = SegmentRecorder(tmp_path, MEBIBYTE, HandClock())
    for at in range(4000):
        recorder.append(float(at), frame(float(at), "x" * 1000))
        if at % 100 == 0:
            await recorder.flush()
            assert size(tmp_path) <= MEBIBYTE
    await recorder.close()
    assert MEBIBYTE * 0.8 < size(tmp_path) <= MEBIBYTE
    kept = [int(found.at.boot) for found in read(tmp_path, -1e12, 1e12)]
    assert kept == list(range(kept[0], 4000)) and kept[0] > 2000
    assert recorder.dropped == 0


async def test_a_later_run_begins_a_segment_of_its_own_and_keeps_the_bound(tmp_path: Path) -> None:
    for run in range(3):
        await recorded(tmp_path, frame(float(run)))
    present = segments(tmp_path / DIRECTORY)
    assert [path.stem[-1] for path in present] == ["1", "2", "3"]
    assert [found.at.boot for found in read(tmp_path, 0, 1e12)] == [0.0, 1.0, 2.0]


async def test_a_daemon_that_dies_again_and_again_leaves_a_bounded_number_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_SEGMENTS", 5)
    for run in range(9):
        await recorded(tmp_path, frame(float(run)))
    assert [found.at.boot for found in read(tmp_path, 0, 1e12)] == [4.0, 5.0, 6.0, 7.0, 8.0]


async def test_what_is_larger_than_a_segment_is_dropped_and_counted(tmp_path: Path) -> None:
    recorder = await recorded(tmp_path, frame(1.0, "x" * 200_000), frame(2.0))
    assert recorder.dropped == 1
    assert [found.at.boot for found in read(tmp_path, 0, 1e12)] == [2.0]


async def test_a_body_that_cannot_be_encoded_is_dropped_and_counted(tmp_path: Path) -> None:
    recorder = SegmentRecorder(tmp_path, MEBIBYTE, HandClock())
    recorder.append(1.0, Entry("odd", {"x": object()}))
    recorder.append(2.0, frame(2.0))
    await recorder.close()
    assert recorder.dropped == 1
    assert [found.at.boot for found in read(tmp_path, 0, 1e12)] == [2.0]


async def test_a_full_queue_drops_the_newest_and_counts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "CAPACITY", 3)
    recorder = await recorded(tmp_path, *(frame(float(at)) for at in range(5)))
    assert recorder.dropped == 2
    assert [found.at.boot for found in read(tmp_path, 0, 1e12)] == [0.0, 1.0, 2.0]


async def test_appending_writes_nothing_by_itself(tmp_path: Path) -> None:
    recorder = SegmentRecorder(tmp_path, MEBIBYTE, HandClock())
    recorder.append(1.0, frame(1.0))
    assert not (tmp_path / DIRECTORY).exists()
    await recorder.close()
    assert (tmp_path / DIRECTORY).exists()


async def test_a_disk_that_refuses_costs_the_recording_and_nobody_else(tmp_path: Path) -> None:
    (tmp_path / DIRECTORY).write_text("no directory")
    recorder = SegmentRecorder(tmp_path, MEBIBYTE, HandClock())
    recorder.append(1.0, frame(1.0))
    await recorder.flush()
    assert recorder.dropped == 1 and "cannot be written" in recorder.fault

    (tmp_path / DIRECTORY).unlink()
    recorder.append(2.0, frame(2.0))
    await recorder.close()
    assert recorder.fault == "" and [found.at.boot for found in read(tmp_path, 0, 1e12)] == [2.0]


async def test_the_recording_is_for_this_user_alone(tmp_path: Path) -> None:
    await recorded(tmp_path, frame(1.0))
    assert stat.S_IMODE((tmp_path / DIRECTORY).stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in segments(tmp_path / DIRECTORY)] == [0o600]


async def test_the_task_writes_while_time_passes(tmp_path: Path) -> None:
    recorder = SegmentRecorder(tmp_path, MEBIBYTE, HandClock())
    recorder.append(1.0, frame(1.0))
    task = asyncio.create_task(recorder.run())
    for _ in range(1000):
        await asyncio.sleep(0.001 if recorder.waiting else 0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await recorder.close()
    assert [found.at.boot for found in read(tmp_path, 0, 1e12)] == [1.0]


async def test_recording_that_is_turned_off_leaves_nothing_behind(tmp_path: Path) -> None:
    forget(tmp_path)
    await recorded(tmp_path, frame(1.0))
    forget(tmp_path)
    assert segments(tmp_path / DIRECTORY) == []


def test_the_null_recorder_keeps_nothing() -> None:
    recorder = NullRecorder()
    recorder.append(1.0, LoopLagged(at=1.0, seconds=2.0))
    assert (recorder.capacity, recorder.dropped, len(recorder.waiting)) == (0, 0, 0)
