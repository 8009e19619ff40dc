"""What people read about weights: first the one sentence, and never a digest without its story."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from watchtower.programs.checkpoints import SHOWN, show_checkpoints

DIGEST = "ab" * 32
BLESSED = {"digest": DIGEST, "declared": "/weights/a", "by": "ada", "wall": 1_767_225_600.0, "reason": "release 14"}
KNOWN: dict[str, Any] = {
    "state": "blessed",
    "declared": "/weights/a",
    "observed": DIGEST,
    "because": "",
    "clean_rounds": 3,
    "blessed": BLESSED,
    "history": [{"wall": 1_767_225_600.0, "digest": DIGEST, "declared": "/weights/a"}],
}


def shown(**changes: Any) -> str:
    console = Console(file=io.StringIO(), width=200)
    show_checkpoints(console, {**KNOWN, **changes})
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("changes", "headline"),
    [
        ({}, "the blessed checkpoint is in memory"),
        ({"state": "on trial"}, "the weights in memory are on trial: nobody has blessed them"),
        (
            {"state": "unknown", "observed": "", "because": "timeout"},
            "which weights are in memory is not known: timeout",
        ),
    ],
)
def test_the_first_line_is_the_one_that_matters(changes: dict[str, Any], headline: str) -> None:
    assert shown(**changes).splitlines()[0] == headline


def test_who_blessed_what_when_and_why_is_said() -> None:
    said = shown()
    assert f"{DIGEST[:SHOWN]} of /weights/a, by ada at 2026-01-01T00:00:00.000Z: release 14" in said
    assert DIGEST not in said, "a person compares twelve digits"


def test_without_a_blessing_it_says_what_that_means() -> None:
    assert "nothing: no rollback is possible" in shown(blessed=None)


def test_what_nobody_declares_and_cannot_be_read_is_said_in_words() -> None:
    said = shown(declared="", observed="", because="timeout")
    assert "by nobody" in said and "unknown: timeout" in said


def test_a_daemon_that_knows_nothing_yet_says_so() -> None:
    console = Console(file=io.StringIO(), width=200)
    show_checkpoints(console, {})
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "Watchtower has only just started.\n"
