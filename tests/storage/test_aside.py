from __future__ import annotations

from pathlib import Path

import pytest

from tests.storage.samples import fill, opened
from watchtower.storage.aside import set_aside
from watchtower.storage.journal import SqliteJournal, verify
from watchtower.storage.lease import Lease
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.errors import Refused, StorageFault
from watchtower.vocabulary.records import Damage, Verified

NOW = HandClock().now()


async def test_a_damaged_journal_is_kept_aside_and_the_next_start_is_new(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    await fill(journal)
    await journal.close()
    (tmp_path / "journal.head").unlink()
    raw = (tmp_path / "journal.db").read_bytes()
    assert SqliteJournal.open(tmp_path)[0] is None

    kept = set_aside(tmp_path, NOW)

    assert kept == tmp_path / "set-aside-2026-01-01T000000-000Z"
    assert (kept / "journal.db").read_bytes() == raw
    journal = opened(tmp_path)
    assert await journal.read() == []
    await journal.close()


async def test_an_interrupted_move_is_still_damage(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    await fill(journal)
    await journal.close()
    (tmp_path / "journal.db").rename(tmp_path / "elsewhere")
    assert isinstance(verify(tmp_path), Damage)
    set_aside(tmp_path, NOW)
    journal = opened(tmp_path)
    assert isinstance(await journal.verify(), Verified)
    await journal.close()


def test_nothing_is_moved_under_a_running_daemon(tmp_path: Path) -> None:
    lease = Lease.take(tmp_path)
    with pytest.raises(Refused):
        set_aside(tmp_path, NOW)
    lease.release()


def test_there_must_be_something_to_set_aside(tmp_path: Path) -> None:
    with pytest.raises(StorageFault, match="no journal"):
        set_aside(tmp_path, NOW)
