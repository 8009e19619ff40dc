"""Every configuration that is shipped as an example is one that ``watchtower check`` accepts."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from tests.deployment.files import DOCKER, EXAMPLES, KUBERNETES, ROOT
from watchtower.programs.check import check
from watchtower.vocabulary.errors import ExitCode

CONFIGURATIONS = [path for place in (DOCKER, KUBERNETES, EXAMPLES) for path in sorted(place.rglob("watchtower.yaml"))]


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda path: str(path.relative_to(ROOT)))
def test_check_accepts_it(file: Path) -> None:
    said = io.StringIO()
    assert check(file, {}, timing=True, out=Console(file=said)) is ExitCode.OK, said.getvalue()


def test_there_is_one_for_each_way_to_deploy() -> None:
    assert {path.parent.name for path in CONFIGURATIONS if path.is_relative_to(EXAMPLES)} == {
        "systemd",
        "compose",
        "kubernetes",
    }


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_example_touches_nothing_until_it_is_told_to(file: Path) -> None:
    assert "mode: observe" in file.read_text(encoding="utf-8")
