"""What ``watchtower placement`` prints, and its exit code."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from watchtower.programs.placement import show
from watchtower.vocabulary.errors import ExitCode

GPU = {"uuid": "GPU-1", "name": "NVIDIA H100", "because": ""}


def answer(ok: bool | None, *, because: str = "") -> dict[str, Any]:
    finding = {"stage": "tp", "gpu": "GPU-1", "question": "pcie_width", "expected": "16", "real": "8", "ok": ok}
    return {"source": "nvml", "because": because, "gpus": [GPU], "placement": [finding]}


def shown(what: dict[str, Any], *, as_json: bool = False) -> tuple[ExitCode, str]:
    text = io.StringIO()
    return show(what, as_json=as_json, out=Console(file=text, width=120)), text.getvalue()


@pytest.mark.parametrize(
    ("ok", "word", "code"),
    [
        (True, "ok", ExitCode.OK),
        (False, "mismatch", ExitCode.PROBLEM_FOUND),
        (None, "unknown", ExitCode.PROBLEM_FOUND),
    ],
)
def test_expected_stands_beside_real(ok: bool | None, word: str, code: ExitCode) -> None:
    given, text = shown(answer(ok))
    assert given is code
    assert any(line.split() == ["tp", "GPU-1", "pcie", "width", "16", "8", word] for line in text.splitlines())
    assert json.loads(shown(answer(ok), as_json=True)[1])["ok"] is (code is ExitCode.OK)


def test_what_was_seen_before_the_source_fell_silent_is_not_ok() -> None:
    assert shown(answer(True, because="no GPU can be read"))[0] is ExitCode.PROBLEM_FOUND


def test_without_expectations_the_gpus_are_listed_and_nothing_is_wrong() -> None:
    code, text = shown({**answer(True), "placement": []})
    assert code is ExitCode.OK and "placement.stages" in text and "NVIDIA H100" in text
