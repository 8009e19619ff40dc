"""Text is kept only where somebody asked for it, without credentials, and can be picked from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from watchtower.services.meaning.archive import Archive, open_archive
from watchtower.settings import KeepSettings
from watchtower.storage.retained import DATABASE, RetainedStore
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.errors import BadInput, Refused
from watchtower.vocabulary.samples import ExchangeSampled

SECRET = "planted-91c4de"
ON = KeepSettings(text=True, seconds=100)


def without_secret(text: str) -> tuple[str, int]:
    return text.replace(SECRET, "[redacted]"), text.count(SECRET)


def sample(id: str, question: str, answer: str = "Well.", *, alone: bool = True) -> ExchangeSampled:
    return ExchangeSampled(at=1, id=id, model="m", prompt="h", question=question, answer=answer, alone=alone)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def archive(tmp_path: Path, clock: HandClock) -> Archive:
    return Archive(ON, RetainedStore(tmp_path), clock, without_secret)


async def test_what_is_kept_holds_no_credential(archive: Archive, tmp_path: Path) -> None:
    await archive.keep(sample("1", f"Is {SECRET} mine?", f"Yes, {SECRET}."), b"")
    content = (tmp_path / DATABASE).read_bytes()

    assert SECRET.encode() not in content
    assert b"Is [redacted] mine?" in content


async def test_a_text_whose_redaction_fails_is_not_kept_nor_quoted(
    tmp_path: Path, clock: HandClock, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(text: str) -> tuple[str, int]:
        raise ValueError(text)

    await Archive(ON, RetainedStore(tmp_path), clock, fail).keep(sample("1", SECRET), b"")

    assert not (tmp_path / DATABASE).exists()
    assert SECRET not in "".join(capsys.readouterr())


async def test_kept_text_is_forgotten_in_time(archive: Archive, clock: HandClock, tmp_path: Path) -> None:
    await archive.keep(sample("1", "What are tides?"), b"")
    clock.advance(101)
    archive.forget()

    assert b"tides" not in (tmp_path / DATABASE).read_bytes()


async def test_questions_that_cover_what_is_asked_are_picked(archive: Archive) -> None:
    for number in range(9):
        await archive.keep(sample(f"a{number}", f"How do I bake a loaf of bread, version {number}?"), b"")
    await archive.keep(sample("b", "Why does gravity bend light?"), b"")
    await archive.keep(sample("c", "And then?", alone=False), b"")
    await archive.keep(sample("d", f"Use {SECRET} now"), b"")
    picked = archive.pick(2)

    assert picked["of"] == 10
    assert "bread" in picked["prompts"][0]
    assert picked["prompts"][1] == "Why does gravity bend light?"


def test_nothing_to_pick_from_is_refused(archive: Archive) -> None:
    with pytest.raises(Refused, match="no kept question"):
        archive.pick(3)


async def test_turned_off_what_an_earlier_run_kept_is_gone(archive: Archive, tmp_path: Path, clock: HandClock) -> None:
    await archive.keep(sample("1", "What are tides?"), b"")

    assert open_archive(KeepSettings(), tmp_path, clock) is None
    assert not (tmp_path / DATABASE).exists()


def test_without_a_redactor_nothing_may_be_kept(
    tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("detect_secrets")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "detect_secrets", None)

    with pytest.raises(BadInput, match=r"watchtower-sidecar\[retention\]"):
        open_archive(ON, tmp_path, clock)
