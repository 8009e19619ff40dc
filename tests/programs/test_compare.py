"""The command as a script meets it: verdict, exit code, JSON, page, and mistakes with their place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.services.comparing.test_sameness import said
from watchtower.cli import app
from watchtower.vocabulary.errors import BadInput


def answers(path: Path, seed: int, count: int = 60, words: int = 60) -> str:
    path.write_text("".join(json.dumps({"id": i, "output": said(seed, i, words)}) + "\n" for i in range(count)))
    return str(path)


def test_each_verdict_has_its_exit_code(tmp_path: Path) -> None:
    base = answers(tmp_path / "base", 1)
    for other, code in (
        (base, 0),
        (answers(tmp_path / "longer", 2, words=90), 1),
        (answers(tmp_path / "few", 2, 30), 3),
    ):
        done = CliRunner().invoke(app, ["compare", "--no-encoder", "--json", base, other])
        assert done.exit_code == code, done.output
        assert json.loads(done.stdout)["outcome"] == {0: "same", 1: "different", 3: "too_little_data"}[code]


def test_the_page_shows_verdict_effects_histogram_and_ids_but_no_answer(tmp_path: Path) -> None:
    base, other = answers(tmp_path / "base", 1), answers(tmp_path / "longer", 2, words=90)
    page = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["compare", "--no-encoder", base, other, "--html", str(page)])
    for text in (done.stdout, page.read_text()):
        assert "DIFFERENT" in text
        assert "no meaning: not asked for" in text
        assert "█" in text
        assert "what moved most" in text
        assert said(1, 0)[:20] not in text


def test_all_mistakes_of_both_files_come_at_once(tmp_path: Path) -> None:
    for name in ("base", "other"):
        (tmp_path / name).write_text('{"id": 1}\n')
    done = CliRunner().invoke(app, ["compare", str(tmp_path / "base"), str(tmp_path / "other")])
    assert isinstance(done.exception, BadInput)
    assert [problem.where for problem in done.exception.problems] == [f"{tmp_path}/base:1", f"{tmp_path}/other:1"]


def test_files_about_other_prompts_are_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "base").write_text('{"id": 1, "output": "a"}\n')
    (tmp_path / "other").write_text('{"id": 2, "output": "a"}\n')
    with pytest.raises(BadInput, match="no id is also in"):
        CliRunner().invoke(app, ["compare", str(tmp_path / "base"), str(tmp_path / "other")], catch_exceptions=False)
