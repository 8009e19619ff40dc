"""Disks that refuse and processes that die."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.storage.samples import a_notice, fill, image, opened
from watchtower.storage import head
from watchtower.storage.journal import SqliteJournal, verify
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.errors import StorageFault
from watchtower.vocabulary.incidents import NoticeKind
from watchtower.vocabulary.records import Entry, Verified

CLOCK = HandClock()
NOW = CLOCK.now()


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """A disk that is full: no file of this process may grow beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def small_disk(place: Path, options: str) -> Iterator[Path]:
    """A real tmpfs; skipped where we may not mount."""
    place.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place]).returncode != 0:
        pytest.skip("mounting a tmpfs needs root")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def make_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)


def exit_status(script: str, *arguments: Path) -> int:
    return subprocess.run([sys.executable, "-c", script, *arguments], timeout=20).returncode


async def refuses_then_recovers(journal: SqliteJournal, directory: Path) -> None:
    """Fill until the disk refuses; what was promised before is there afterwards, and nothing else."""
    promised = 0
    filler = Entry("filler", {"text": "x" * 2000})

    async def fill_up() -> None:
        nonlocal promised
        for _ in range(2000):
            promised = await journal.commit([filler], b"state", [], NOW)

    with pytest.raises(StorageFault, match="cannot be written"):
        await fill_up()
    assert journal.fault.startswith("the journal cannot be written (SQLITE_")
    with pytest.raises(StorageFault):
        await journal.commit([Entry("action.intent")], None, [], NOW)
    assert promised > 1
    found = verify(directory)
    assert isinstance(found, Verified)
    assert found.sequence == promised


async def test_a_file_that_may_not_grow_latches_the_fault_and_loses_nothing(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with no_file_beyond(200_000):
        await refuses_then_recovers(journal, tmp_path)
    with pytest.raises(StorageFault):
        await journal.commit([Entry("a.b")], None, [], NOW)  # room again, yet latched: only reopening verifies
    await journal.close()
    journal = opened(tmp_path)
    assert await journal.commit([Entry("a.b")], None, [], NOW) > 1
    await journal.close()


async def test_a_full_disk_latches_the_fault_and_loses_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=400k") as disk:
        journal = opened(disk / "state")
        await refuses_then_recovers(journal, disk / "state")
        await journal.close()


def test_a_disk_too_small_to_begin_on_is_a_fault_at_open(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=8k") as disk:
        journal, fault = SqliteJournal.open(disk / "state")
        assert journal is None
        assert "unusable" in fault


async def test_a_read_only_disk_is_a_fault_at_open(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=1m") as disk:
        journal = opened(disk / "state")
        await fill(journal)
        await journal.close()
        make_read_only(disk)
        nothing, fault = SqliteJournal.open(disk / "state")
        assert nothing is None
        assert "journal is damaged" in fault or "unusable" in fault


async def test_a_head_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    (tmp_path / (head.HEAD + ".new")).mkdir()
    with pytest.raises(StorageFault, match="Is a directory"):
        await journal.commit([Entry("action.intent")], b"acting", [(a_notice(), ["log"])], NOW)
    assert (journal.latest_snapshot(), journal.pending()) == (None, []), "what is not proven durable is not shown"
    await journal.close()


async def test_after_a_fault_memory_goes_on_and_people_are_still_told(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    await fill(journal)
    (tmp_path / (head.HEAD + ".new")).mkdir()
    with pytest.raises(StorageFault):
        await journal.commit([Entry("a.b")], None, [], NOW)
    await journal.go_on_in_memory()
    alert = a_notice("ntc-9", NoticeKind.STORAGE_FAULT, "watchtower")
    await journal.commit([Entry("storage.fault")], b"observing", [(alert, ["hook"])], NOW)
    assert [row.notice.id for row in journal.pending()] == ["ntc-1", "ntc-2", "ntc-9"]
    assert journal.latest_snapshot() == b"observing"
    assert journal.fault
    await journal.close()


async def test_a_receipt_that_cannot_be_filed_does_not_send_again_and_again(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    await journal.commit([], None, [(a_notice(), ["hook"])], NOW)
    (tmp_path / (head.HEAD + ".new")).mkdir()
    await journal.delivered(journal.due(NOW, "hook")[0], NOW)
    assert journal.due(NOW, "hook") == []
    assert journal.fault
    await journal.close()


KILLED_BETWEEN = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.storage.samples import a_notice, opened
from watchtower.storage import head
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.records import Entry

async def main():
    journal = opened(Path(sys.argv[1]))
    now = HandClock().now()
    await journal.commit([Entry("incident.opened")], b"open", [], now)
    {death}
    await journal.commit([Entry("action.intent")], b"acting", [(a_notice(), ["hook"])], now)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
BEFORE_THE_HEAD = "head.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize("death", ["pass", BEFORE_THE_HEAD], ids=["after the head", "between commit and head"])
async def test_a_killed_writer_leaves_its_commit_and_a_sound_journal(tmp_path: Path, death: str) -> None:
    assert exit_status(KILLED_BETWEEN.format(death=death), tmp_path) == -signal.SIGKILL
    promised = head.read(tmp_path)
    assert promised is not None and promised.sequence == (2 if death == BEFORE_THE_HEAD else 5)
    journal = opened(tmp_path)
    assert [entry.kind for entry in await journal.read(kind="action.")] == ["action.intent"]
    assert journal.latest_snapshot() == b"acting"
    assert len(journal.pending()) == 1
    await journal.close()


async def test_a_half_written_commit_is_all_there_or_not_at_all(tmp_path: Path) -> None:
    """Power lost in mid-commit: every prefix of what the last commit added to the log, with the head of before."""
    journal = opened(tmp_path / "state")
    await fill(journal)
    before = image(tmp_path / "state", tmp_path / "before")
    await journal.commit([Entry("action.intent")], b"next", [(a_notice("ntc-3"), ["hook"])], NOW)
    whole = (tmp_path / "state" / "journal.db-wal").read_bytes()
    last = (await journal.read())[-1].seq
    await journal.close()
    begun = len((before / "journal.db-wal").read_bytes())
    outcomes = set()
    for length in [*range(begun, len(whole), 389), len(whole)]:
        (before / "journal.db-shm").unlink(missing_ok=True)
        (before / "journal.db-wal").write_bytes(whole[:length])
        found = verify(before)
        assert isinstance(found, Verified), found
        outcomes.add(found.sequence)
    assert outcomes == {last - 3, last}
