from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from watchtower.storage.reference_sets import DATABASE, ReferenceStore, imported
from watchtower.vocabulary.errors import BadInput, StorageFault
from watchtower.vocabulary.references import Blessed, Normal, Prompt, Reference, ReferenceKey, ReferenceSet

KEY = ReferenceKey(model="m", template="chat", sampling="greedy", prompts="p")
OTHER = ReferenceKey(model="n", template="chat", sampling="greedy", prompts="p")


def made(id: str, at: float, key: ReferenceKey = KEY) -> ReferenceSet:
    reference = Reference(prompt=Prompt(id="q", text="Why?"), answers=[Blessed(text="So.")], agreement=Normal(1.0, 0.0))
    return ReferenceSet(id=id, key=key, captured_wall=at, repeats=3, references=[reference])


def test_the_newest_set_under_the_key_is_in_force_and_older_ones_are_retired(tmp_path: Path) -> None:
    store = ReferenceStore(tmp_path)
    assert store.all() == [] and store.blessed(KEY) is None
    for references in (made("a", 1.0), made("b", 2.0, OTHER), made("c", 3.0)):
        store.bless(references)
    assert [(stored.references.id, stored.retired) for stored in store.all()] == [
        ("c", False),
        ("b", False),
        ("a", True),
    ]
    assert ReferenceStore(tmp_path).blessed(KEY) == made("c", 3.0)


def test_a_retired_set_is_used_no_longer_and_an_unknown_one_is_said(tmp_path: Path) -> None:
    store = ReferenceStore(tmp_path)
    assert not store.retire("a")
    store.bless(made("a", 1.0))
    assert store.retire("a") and not store.retire("b")
    assert store.blessed(KEY) is None and store.all()[0].retired


def test_nobody_else_may_read_the_file(tmp_path: Path) -> None:
    ReferenceStore(tmp_path).bless(made("a", 1.0))
    assert stat.S_IMODE((tmp_path / DATABASE).stat().st_mode) == 0o600


def test_a_damaged_file_is_a_fault_and_not_an_empty_store(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"no database at all " * 100)
    store = ReferenceStore(tmp_path)
    with pytest.raises(StorageFault, match="cannot be read"):
        store.all()
    with pytest.raises(StorageFault):
        store.bless(made("a", 1.0))


def test_a_place_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(StorageFault, match="cannot be written"):
        ReferenceStore(tmp_path / "missing").bless(made("a", 1.0))


def test_a_set_from_before_the_checkpoint_was_noted_is_one_of_an_undeclared_checkpoint(tmp_path: Path) -> None:
    old = msgspec.to_builtins(made("a", 1.0))
    del old["key"]["checkpoint"]
    assert imported(msgspec.json.encode(old), "x.json") == made("a", 1.0)
    store = ReferenceStore(tmp_path)
    store.bless(made("a", 1.0))
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection, connection:
        connection.execute("UPDATE sets SET body = ?", (msgspec.json.encode(old),))
    assert store.blessed(KEY) == made("a", 1.0)
    assert store.blessed(msgspec.structs.replace(KEY, checkpoint="/models/good")) is None


def test_an_exported_set_comes_back_whole() -> None:
    assert imported(msgspec.json.encode(made("a", 1.0)), "x.json") == made("a", 1.0)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (b"{}", "no exported reference set: Object missing required field 'id'"),
        (b"nonsense", "no exported reference set: not JSON"),
        (b'{"id": "a", "key": {"model": "m", "checkpoint": 5}}', r"Expected 'str', got 'int' - at '\$.key.checkpoint'"),
        (msgspec.json.encode(msgspec.structs.replace(made("a", 1.0), format=99)), "format 99 is not known"),
        (msgspec.json.encode(msgspec.structs.replace(made("a", 1.0), references=[])), "the set is empty"),
    ],
)
def test_anything_else_is_refused_with_its_cure(document: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        imported(document, "x.json")
