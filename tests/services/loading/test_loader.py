"""Questions of a person's own are found beside the configuration, and their mistakes before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchtower.canaries.prompts import load_prompts
from watchtower.services.loading import load
from watchtower.vocabulary.errors import BadInput


def test_questions_are_relative_to_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "watchtower.yaml"
    file.write_text("version: 1\nreferences: {prompts: own.yaml}\n")
    (tmp_path / "own.yaml").write_text("version: 1\nprompts:\n- {id: one, text: Why so}\n")
    settings = load(file, {}).settings
    assert settings.references.prompts == tmp_path / "own.yaml"
    assert [one.id for one in load_prompts(settings.references.prompts)] == ["one"]


def test_questions_that_cannot_be_read_are_a_mistake_beside_the_others(tmp_path: Path) -> None:
    file = tmp_path / "watchtower.yaml"
    file.write_text("version: 1\nreferences: {prompts: own.yaml}\nrules: [missing.yaml]\n")
    (tmp_path / "own.yaml").write_text("version: 1\nprompts: []\n")
    with pytest.raises(BadInput) as refused:
        load(file, {})
    said = str(refused.value)
    assert "own.yaml" in said and "there is no question" in said and "missing.yaml" in said
    (tmp_path / "own.yaml").unlink()
    with pytest.raises(BadInput, match=r"own\.yaml"):
        load(file, {})
