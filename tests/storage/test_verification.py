"""Whatever happens to the bytes, the journal either reads exactly as it was written or is called damaged."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.storage.samples import fill, image, opened
from watchtower.storage import head
from watchtower.storage.chain import Link, seal
from watchtower.storage.database import open_for_reading
from watchtower.storage.journal import SqliteJournal, verify
from watchtower.storage.verification import Recovered, inspect
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.records import Damage, Entry, Verified

FILES = ("journal.db", "journal.db-wal", "journal.head")
USED_STEP, EMPTY_STEP = 5, 97
"""Sampling that keeps this file quick: every fifth byte in use and every 97th zero byte, another bit each time (the
head file: every byte). Steps of 1 hold as well and take minutes."""


@pytest.fixture
async def closed(tmp_path: Path) -> Path:
    """A journal after a clean stop: no write-ahead log."""
    journal = opened(tmp_path / "state")
    await fill(journal)
    await journal.close()
    return image(tmp_path / "state", tmp_path / "closed")


@pytest.fixture
async def crashed(tmp_path: Path) -> Path:
    """A journal after a power cut: everything still in the write-ahead log."""
    journal = opened(tmp_path / "state")
    await fill(journal)
    copied = image(tmp_path / "state", tmp_path / "crashed")
    await journal.close()
    return copied


def contents(directory: Path) -> object:
    """All that the journal's readers can see."""
    found = inspect(directory)
    assert isinstance(found, Recovered), found
    connection = open_for_reading(directory)
    rows = connection.execute("SELECT * FROM entries ORDER BY seq").fetchall()
    connection.close()
    return found, rows


def never_believed(directory: Path, file: str, mutations: list[bytes]) -> int:
    """Try each mutation of ``file``; how many were found out. The rest must have changed nothing that can be read, and
    looking must not have changed a byte."""
    truth = contents(directory)
    originals = {name: (directory / name).read_bytes() for name in FILES if (directory / name).exists()}
    found_out = 0
    for mutation in mutations:
        (directory / "journal.db-shm").unlink(missing_ok=True)
        (directory / file).write_bytes(mutation)
        if isinstance(inspect(directory), Damage):
            found_out += 1
        else:
            assert contents(directory) == truth
        for name, raw in originals.items():
            assert (directory / name).read_bytes() == (mutation if name == file else raw)
    (directory / file).write_bytes(originals[file])
    return found_out


def flips(raw: bytes, used_step: int, empty_step: int) -> list[bytes]:
    used = [i for i, byte in enumerate(raw) if byte][::used_step]
    empty = [i for i, byte in enumerate(raw) if not byte][::empty_step]
    return [raw[:i] + bytes([raw[i] ^ (1 << n % 8)]) + raw[i + 1 :] for n, i in enumerate(used + empty)]


def cuts(raw: bytes, step: int) -> list[bytes]:
    return [raw[:i] for i in range(0, len(raw), step)]


def test_no_flipped_bit_of_a_stopped_journal_is_believed(closed: Path) -> None:
    mutations = flips((closed / "journal.db").read_bytes(), USED_STEP, EMPTY_STEP)
    assert never_believed(closed, "journal.db", mutations) > 500


def test_no_flipped_byte_of_the_head_is_believed(closed: Path) -> None:
    mutations = flips((closed / "journal.head").read_bytes(), 1, 1)
    assert never_believed(closed, "journal.head", mutations) == len(mutations)


@pytest.mark.parametrize("file", ["journal.db", "journal.db-wal"])
def test_no_flipped_bit_of_a_crashed_journal_is_believed(crashed: Path, file: str) -> None:
    mutations = flips((crashed / file).read_bytes(), 5 * USED_STEP, 10 * EMPTY_STEP)
    assert never_believed(crashed, file, mutations) > 10


@pytest.mark.parametrize("file", ["journal.db", "journal.head"])
def test_a_stopped_journal_cut_anywhere_is_damaged(closed: Path, file: str) -> None:
    raw = (closed / file).read_bytes()
    mutations = cuts(raw, 1 if file == "journal.head" else 257)
    assert never_believed(closed, file, mutations) == len(mutations)


def test_a_crashed_journal_that_lost_the_end_of_its_log_is_damaged(crashed: Path) -> None:
    mutations = cuts((crashed / "journal.db-wal").read_bytes(), 509)
    assert never_believed(crashed, "journal.db-wal", mutations) == len(mutations)


async def test_a_missing_log_is_damage(crashed: Path) -> None:
    (crashed / "journal.db-wal").unlink()
    assert isinstance(verify(crashed), Damage)


@pytest.mark.parametrize(
    ("statement", "bad"),
    [
        ("UPDATE entries SET body = replace(body, '0.212', '0.112')", 1),
        ("UPDATE entries SET wall = wall + 1 WHERE seq = 4", 4),
        ("UPDATE entries SET op_id = 'op-2' WHERE op_id = 'op-1'", 4),
        ("DELETE FROM entries WHERE seq = 1", 1),
        ("DELETE FROM entries WHERE seq = 3", 3),
        ("DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)", 7),
        ("DELETE FROM entries", 1),
        (
            "UPDATE entries SET seq = 1000 WHERE seq = 3; UPDATE entries SET seq = 3 WHERE seq = 4;"
            "UPDATE entries SET seq = 4 WHERE seq = 1000",
            3,
        ),
        ("INSERT INTO entries SELECT 99, kind, '', '', body, wall, boot, boot_id, version, hash, hash FROM entries", 8),
        ("UPDATE snapshot SET state = x'00'", 5),
        ("DELETE FROM snapshot", 5),
        ("DELETE FROM outbox WHERE sink = 'hook' AND attempts = 1", 3),
        ("UPDATE outbox SET retry_boot = 1e9 WHERE attempts = 1", 3),
        ("INSERT INTO outbox SELECT seq, 'log', attempts, retry_boot, retry_wall, retry_boot_id, hash FROM outbox", 3),
        ("DROP INDEX entries_by_incident", 0),
        ("PRAGMA application_id = 7", 0),
    ],
)
def test_a_careless_hand_is_named_with_the_first_bad_entry(closed: Path, statement: str, bad: int) -> None:
    connection = sqlite3.connect(closed / "journal.db")
    if statement.startswith("INSERT"):
        statement += " LIMIT 1"
    connection.executescript(statement)
    connection.close()
    found = verify(closed)
    assert isinstance(found, Damage)
    assert found.first_bad_seq == bad, found


def test_one_entry_rewritten_with_a_fitting_hash_breaks_the_chain_at_the_next(closed: Path) -> None:
    connection = sqlite3.connect(closed / "journal.db")
    link = Link(*connection.execute("SELECT * FROM entries WHERE seq = 1").fetchone())
    forged = seal(Entry(link.kind, {"p95": 0.1}, link.incident), 1, link.prev_hash, HandClock().now(), link.version)
    connection.execute("UPDATE entries SET body = ?, hash = ? WHERE seq = 1", (forged.body, forged.hash))
    connection.commit()
    connection.close()
    found = verify(closed)
    assert isinstance(found, Damage)
    assert found.first_bad_seq == 2


def test_an_index_that_hides_an_entry_is_damage(closed: Path) -> None:
    connection = sqlite3.connect(closed / "journal.db")
    (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'entries_by_incident'").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    raw = bytearray((closed / "journal.db").read_bytes())
    place = raw.index(b"inc-1", (page - 1) * size, page * size)
    raw[place : place + 5] = b"inc-2"
    (closed / "journal.db").write_bytes(raw)
    assert verify(closed) == Damage(0, "SQLite finds the file's structure damaged")


async def test_a_whole_consistent_rewrite_is_given_away_by_the_head(tmp_path: Path) -> None:
    for name, body in (("true", {"n": 1}), ("forged", {"n": 2})):
        journal = opened(tmp_path / name)
        await journal.commit([Entry("a.b", body)], None, [], HandClock().now())
        await journal.close()
    shutil.copy(tmp_path / "forged" / "journal.db", tmp_path / "true" / "journal.db")
    assert verify(tmp_path / "true") == Damage(1, "the chain was rewritten: the head file holds another hash")


async def test_an_old_copy_put_back_is_given_away_by_the_head(tmp_path: Path) -> None:
    journal = opened(tmp_path / "state")
    await journal.commit([Entry("a.b")], None, [], HandClock().now())
    await journal.close()
    old = (tmp_path / "state" / "journal.db").read_bytes()
    journal = opened(tmp_path / "state")
    await journal.commit([Entry("action.intent")], None, [], HandClock().now())
    await journal.close()
    (tmp_path / "state" / "journal.db").write_bytes(old)
    assert verify(tmp_path / "state") == Damage(2, "entries are missing: the head file promises 2")


async def test_a_head_that_lags_behind_a_crash_is_no_damage(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    await journal.commit([Entry("a.b")], None, [], HandClock().now())
    lagging = head.read(tmp_path)
    await journal.commit([Entry("a.c")], None, [], HandClock().now())
    await journal.close()
    assert lagging is not None
    head.replace(tmp_path, lagging)
    found = verify(tmp_path)
    assert isinstance(found, Verified)
    assert found.sequence == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: (d / "journal.db-wal").write_bytes((d / "journal.db-wal").read_bytes()[:-100]),
        lambda d: (d / "journal.head").write_bytes(b"rubbish"),
        lambda d: (d / "journal.db").write_bytes(b"rubbish" * 1000),
        lambda d: (d / "journal.db").write_bytes(b""),
    ],
)
def test_a_damaged_journal_is_refused_and_keeps_every_byte(crashed: Path, damage: Callable[[Path], object]) -> None:
    damage(crashed)
    before = {name: (crashed / name).read_bytes() for name in FILES}
    journal, fault = SqliteJournal.open(crashed)
    assert journal is None
    assert fault.startswith("the journal is damaged")
    assert {name: (crashed / name).read_bytes() for name in FILES} == before
