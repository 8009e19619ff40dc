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
    assert [prompt.id for prompt in load_prompts(settings.references.prompts)] == ["one"]


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


def test_what_a_plugin_finds_wrong_hides_no_other_mistake(tmp_path: Path) -> None:
    file = tmp_path / "watchtower.yaml"
    file.write_text(
        "version: 1\n"
        "remediation: {modes: {slow_tokns: observe}}\n"
        "sinks:\n- {kind: slack, url: nowhere, templates: {headline: '{{'}}\n- {kind: log, name: slack}\n"
    )
    with pytest.raises(BadInput) as refused:
        load(file, {})
    told = [problem.path for problem in refused.value.problems]
    assert sorted(told) == [
        "remediation.modes.slow_tokns",
        "sinks[0].templates.headline",
        "sinks[0].url",
        "sinks[1].name",
    ]


def test_mistakes_of_plugins_and_of_rule_files_are_told_together(tmp_path: Path) -> None:
    file = tmp_path / "watchtower.yaml"
    (tmp_path / "own.yaml").write_text("version: 1\nrules: word\n")
    file.write_text("version: 1\nrules: [own.yaml]\nsinks: [{kind: slack, name: a, url: nowhere}]\n")
    with pytest.raises(BadInput) as refused:
        load(file, {})
    said = str(refused.value)
    assert "own.yaml" in said and "sinks[0].url" in said
