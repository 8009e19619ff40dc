from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
import pytest

from tests.storage.samples import a_notice, fill, opened
from watchtower.storage import head
from watchtower.storage.journal import MemoryJournal, SqliteJournal, verify
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.errors import StorageFault
from watchtower.vocabulary.incidents import IncidentState, NoticeKind
from watchtower.vocabulary.records import Damage, Entry, Verified

NOW = HandClock().now()


async def test_what_was_committed_is_there_after_reopening(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    await fill(journal)
    before = (await journal.read(), journal.latest_snapshot(), journal.pending(), journal.depth(NOW).settled)
    await journal.close()
    journal = opened(tmp_path)
    assert (await journal.read(), journal.latest_snapshot(), journal.pending(), journal.depth(NOW).settled) == before
    assert before[1] == b"acting"
    assert [(row.sink, row.notice.id, row.attempts) for row in before[2]] == [
        ("hook", "ntc-1", 1),
        ("hook", "ntc-2", 0),
    ]
    await journal.close()


async def test_the_directory_and_its_files_belong_to_the_owner_alone(tmp_path: Path) -> None:
    journal = opened(tmp_path / "state")
    await fill(journal)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    files = list((tmp_path / "state").iterdir())
    assert {file.name for file in files} >= {"journal.db", "journal.db-wal", "journal.head"}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    await journal.close()


async def test_sequences_have_no_gap_and_the_head_follows_every_commit(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    assert await journal.commit([Entry("a.b"), Entry("a.c")], b"one", [], NOW) == 3
    assert await journal.commit([Entry("a.d")], b"one", [], NOW) == 4, "an unchanged state is not written again"
    assert [entry.seq for entry in await journal.read()] == [1, 2, 3, 4]
    promised = head.read(tmp_path)
    assert promised is not None and promised.sequence == 4
    await journal.close()


async def test_entries_are_read_by_kind_incident_and_place(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    await fill(journal)
    assert [e.op_id for e in await journal.read(kind="action.")] == ["op-1"]
    assert [e.kind for e in await journal.read(incident="inc-1", kind="incident.")] == ["incident.opened"]
    assert [e.seq for e in await journal.read(since_seq=2, limit=2)] == [3, 4]
    assert await journal.read(incident="inc-%") == []
    await journal.close()


async def test_a_commit_that_cannot_be_encoded_changes_nothing(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    with pytest.raises(TypeError):
        await journal.commit([Entry("a.b"), Entry("a.c", {"x": object()})], b"new", [(a_notice(), ["log"])], NOW)
    assert (await journal.read(), journal.latest_snapshot(), journal.pending()) == ([], None, [])
    assert journal.fault == ""
    await journal.close()


async def test_the_newer_journal_is_refused_and_left_alone(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    await journal.commit([Entry("a.b")], None, [], NOW)
    await journal.close()
    raw = bytearray((tmp_path / "journal.db").read_bytes())
    raw[63] = 2  # user_version, big-endian at offset 60
    (tmp_path / "journal.db").write_bytes(raw)
    journal_or_none, fault = SqliteJournal.open(tmp_path)
    assert journal_or_none is None
    assert "schema version 2" in fault
    assert (tmp_path / "journal.db").read_bytes() == raw


async def test_a_missing_head_or_database_is_damage_and_never_an_empty_journal(tmp_path: Path) -> None:
    for name, expected in (("journal.head", "head file is missing"), ("journal.db", "database is missing")):
        directory = tmp_path / name
        journal = opened(directory)
        await journal.commit([Entry("a.b")], None, [], NOW)
        await journal.close()
        (directory / name).unlink()
        nothing, fault = SqliteJournal.open(directory)
        assert nothing is None
        assert expected in fault
        assert not (directory / name).exists()


async def test_a_first_start_that_was_interrupted_is_simply_finished(tmp_path: Path) -> None:
    head.replace(tmp_path, head.Head(0, "0" * 64))
    (tmp_path / "journal.db.new").write_bytes(b"half")
    journal = opened(tmp_path)
    assert await journal.commit([Entry("a.b")], None, [], NOW) == 1
    await journal.close()


async def test_verification_runs_beside_the_writer(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    await fill(journal)
    found = await journal.verify()
    assert isinstance(found, Verified)
    assert found == verify(tmp_path)
    assert found.sequence == (await journal.read())[-1].seq
    await journal.close()


async def test_compaction_forgets_the_oldest_but_keeps_the_chain_the_state_and_what_is_pending(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for number in range(50):
        await journal.commit([Entry("tick", {"n": number})], None, [], NOW)
    await fill(journal)
    assert await journal.compact(NOW, keep_entries=1) > 45
    assert (await journal.read())[0].seq > 45
    assert len(journal.pending()) == 2
    assert isinstance(await journal.verify(), Verified)
    await journal.close()
    journal = opened(tmp_path)
    assert journal.latest_snapshot() == b"acting"
    assert len(journal.pending()) == 2
    await journal.close()


async def test_entries_missing_before_the_compaction_point_are_damage(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    for number in range(20):
        await journal.commit([Entry("tick", {"n": number})], None, [], NOW)
    assert await journal.compact(NOW, keep_entries=10) == 10
    await journal.close()
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.execute("DELETE FROM entries WHERE seq = 11")
    assert verify(tmp_path) == Damage(11, "the oldest entries are missing")


async def test_a_memory_journal_does_all_the_same_and_says_why_it_is_one() -> None:
    journal = MemoryJournal("the journal is damaged")
    await fill(journal)
    assert journal.latest_snapshot() == b"acting"
    assert [row.notice.id for row in journal.pending()] == ["ntc-1", "ntc-2"]
    assert [e.op_id for e in await journal.read(kind="action.")] == ["op-1"]
    assert journal.fault == "the journal is damaged"
    assert await journal.verify() == Damage(0, "the journal is damaged")
    await journal.close()


async def test_a_notice_for_several_sinks_is_one_entry_and_one_row_each(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    await journal.commit([], None, [(a_notice(kind=NoticeKind.ESCALATED), ["b", "a", "b"])], NOW)
    assert [row.sink for row in journal.pending()] == ["a", "b"]
    assert [entry.kind for entry in await journal.read()] == ["notice.queued"]
    await journal.close()


def test_a_directory_that_cannot_be_made_is_a_fault_in_one_sentence() -> None:
    journal, fault = SqliteJournal.open(Path("/proc/watchtower-state"))
    assert journal is None
    assert fault.startswith("the state directory is unusable (")


def test_a_file_in_the_place_of_the_directory_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("not a directory")
    journal, fault = SqliteJournal.open(tmp_path / "state")
    assert journal is None
    assert "unusable" in fault


async def test_a_fault_of_a_read_is_a_storage_fault(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    await journal.commit([Entry("a.b", {"n": 1})], None, [], NOW)
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        connection.execute("UPDATE entries SET body = '{\"n\":2}'")
    with pytest.raises(StorageFault, match="entry 1"):
        await journal.read()
    await journal.close()


async def test_a_notice_of_a_later_release_is_no_damage_and_still_leaves_as_an_alert(tmp_path: Path) -> None:
    later = msgspec.structs.replace(a_notice(), kind="foretold", state="dreaming")  # never checked when it is made
    journal = opened(tmp_path)
    await journal.commit([], None, [(later, ["log"])], HandClock().now())
    await journal.close()
    journal = opened(tmp_path)
    (pending,) = journal.pending()
    assert (pending.notice.kind, pending.notice.state) == (NoticeKind.OPENED, IncidentState.OPEN)
    assert pending.notice.title == later.title
    await journal.close()
