"""Kept text ends when it was said to end, and nothing of it stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchtower.storage.retained import DATABASE, Retained, RetainedStore
from watchtower.vocabulary.errors import StorageFault


def kept(id: str, wall: float = 1.0, question: str = "planted-91c4de") -> Retained:
    return Retained(id=id, wall=wall, prompt="h", alone=True, question=question, answer="", redacted=0)


def test_what_is_kept_is_told_newest_first_and_its_file_is_private(tmp_path: Path) -> None:
    store = RetainedStore(tmp_path)
    store.keep([kept("a", 1), kept("b", 2)], ends=10, most=9)

    assert [sample.id for sample in store.all(now=5)] == ["b", "a"]
    assert (tmp_path / DATABASE).stat().st_mode & 0o777 == 0o600
    assert "planted" not in repr(store.all(now=5))


def test_what_has_ended_is_not_told_and_is_overwritten(tmp_path: Path) -> None:
    store = RetainedStore(tmp_path)
    store.keep([kept("a")], ends=10, most=9)
    assert b"planted-91c4de" in (tmp_path / DATABASE).read_bytes()

    assert store.all(now=10) == []
    assert store.forget(now=10) == 1
    assert b"planted-91c4de" not in (tmp_path / DATABASE).read_bytes()


def test_the_newest_stay_when_there_are_too_many(tmp_path: Path) -> None:
    store = RetainedStore(tmp_path)
    for number in range(5):
        store.keep([kept(str(number), number)], ends=10, most=2)

    assert [sample.id for sample in store.all(now=5)] == ["4", "3"]


def test_turned_off_everything_is_forgotten(tmp_path: Path) -> None:
    store = RetainedStore(tmp_path)
    store.forget_all()
    store.keep([kept("a")], ends=10, most=9)
    store.forget_all()

    assert list(tmp_path.iterdir()) == []


def test_a_broken_file_is_a_storage_fault(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"no database" * 1000)

    with pytest.raises(StorageFault):
        RetainedStore(tmp_path).all(now=1)
