"""One bad rule file for each mistake: the file's name is the mistake, the text beside it is what people are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchtower.rules.rule_files import load_rules
from watchtower.vocabulary.errors import BadInput

BAD = Path(__file__).parent / "bad"


@pytest.mark.parametrize("file", sorted(BAD.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_bad_rule_is_refused_with_place_and_cure(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    with pytest.raises(BadInput) as refused:
        load_rules([Path(file.name)])
    assert str(refused.value) == file.with_suffix(".txt").read_text().rstrip("\n")
    assert all(problem.what and problem.cure for problem in refused.value.problems)
