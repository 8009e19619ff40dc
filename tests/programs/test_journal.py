"""``watchtower journal``: what it finds, what it moves, and what it refuses to move."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.storage.samples import opened
from watchtower.cli import app
from watchtower.storage.database import DATABASE
from watchtower.storage.journal import SqliteJournal
from watchtower.storage.lease import Lease
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.errors import BadInput, Refused, StorageFault
from watchtower.vocabulary.records import Entry

NOW = HandClock().now()


async def written(directory: Path) -> Path:
    journal = opened(directory)
    await journal.commit([Entry("a.b"), Entry("a.c")], b"state", [], NOW)
    await journal.close()
    return directory


def flip_a_byte(directory: Path) -> None:
    content = bytearray((directory / DATABASE).read_bytes())
    place = content.index(b"a.c")
    content[place] ^= 1
    (directory / DATABASE).write_bytes(content)


def journal(*words: str) -> tuple[int, str]:
    """Exit code and output; our own errors come through."""
    done = CliRunner().invoke(app, ["journal", *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


async def test_a_whole_journal_is_said_to_be_whole(tmp_path: Path) -> None:
    await written(tmp_path)
    code, said = journal("verify", "--state-dir", str(tmp_path))
    assert code == 0 and said.startswith("3 entries, whole up to 3 (")
    code, said = journal("verify", "--state-dir", str(tmp_path), "--json")
    assert code == 0 and json.loads(said)["whole"] is True and json.loads(said)["entries"] == 3


async def test_damage_is_found_with_its_place_and_the_way_on(tmp_path: Path) -> None:
    flip_a_byte(await written(tmp_path))
    code, said = journal("verify", "--state-dir", str(tmp_path))
    assert code == 1 and "damaged at entry 2: the entry was altered" in said
    assert "watchtower journal set-aside --yes" in said
    code, said = journal("verify", "--state-dir", str(tmp_path), "--json")
    assert code == 1 and json.loads(said) == {"whole": False, "first_bad_seq": 2, "because": "the entry was altered"}


def test_a_directory_without_a_journal_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no journal"):
        journal("verify", "--state-dir", str(tmp_path))
    with pytest.raises(StorageFault, match="no journal here"):
        journal("set-aside", "--state-dir", str(tmp_path), "--yes")


async def test_nothing_is_moved_before_a_person_says_yes(tmp_path: Path) -> None:
    await written(tmp_path)
    with pytest.raises(BadInput, match="forgets this journal's budgets"):
        journal("set-aside", "--state-dir", str(tmp_path))
    assert (tmp_path / DATABASE).exists()


async def test_nothing_is_moved_under_a_running_daemon(tmp_path: Path) -> None:
    await written(tmp_path)
    lease = Lease.take(tmp_path)
    with pytest.raises(Refused):
        journal("set-aside", "--state-dir", str(tmp_path), "--yes")
    lease.release()
    assert (tmp_path / DATABASE).exists()


async def test_a_damaged_journal_is_kept_and_the_next_start_begins_anew(tmp_path: Path) -> None:
    flip_a_byte(await written(tmp_path))
    assert SqliteJournal.open(tmp_path)[0] is None
    code, said = journal("set-aside", "--state-dir", str(tmp_path), "--yes", "--json")
    assert code == 0
    moved = Path(json.loads(said)["moved_to"])
    assert moved.parent == tmp_path and (moved / DATABASE).exists()
    fresh = opened(tmp_path)
    assert await fresh.read() == []
    await fresh.close()
