"""One bad file for each mistake: the file's name is the mistake, the text beside it is what people are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchtower.services.loading import load
from watchtower.vocabulary.errors import BadInput, ExitCode

BAD = Path(__file__).parent / "bad"
FILES = sorted(BAD.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_bad_file_is_refused_with_place_and_cure(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    with pytest.raises(BadInput) as refused:
        load(Path(file.name), {}, {})
    assert str(refused.value) == file.with_suffix(".txt").read_text().rstrip("\n")
    assert refused.value.exit_code is ExitCode.BAD_INPUT
    assert all(problem.what and problem.cure for problem in refused.value.problems)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_message_carries_a_secret(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    with pytest.raises(BadInput) as refused:
        load(Path(file.name), {}, {})
    assert "SECRET" not in str(refused.value)
