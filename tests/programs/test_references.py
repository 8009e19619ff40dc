"""What the command line says of references: a capture to its end, pictures, files, and refusals."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from watchtower.programs import references
from watchtower.programs.client import DaemonClient
from watchtower.vocabulary.errors import BadInput, ExitCode

KEY = {
    "model": "tiny",
    "checkpoint": "/models/good",
    "template": "chat",
    "sampling": "greedy, 48 tokens",
    "prompts": "abc",
}
ONE = {
    "id": "fact-sea",
    "answers": 5,
    "tokens": 48,
    "agreement": {"mean": 0.5, "sd": 0.1},
    "similarity": {"mean": 0.97, "sd": 0.01},
    "noise_nats": 0.0021,
}
SET: dict[str, Any] = {
    "id": "ref-1",
    "key": KEY,
    "engine": "0.32.0",
    "encoder": "minilm",
    "captured_wall": 1.8e9,
    "repeats": 5,
    "size": 1,
    "with_logprobs": 1,
    "with_vectors": 1,
}
DONE = {
    "state": "done",
    "because": "",
    "id": "ref-1",
    "done": 10,
    "total": 10,
    "tokens": 1234,
    "similarity_because": "",
    "logprobs_because": "the engine gives no prompt_logprobs",
}


class Daemon(DaemonClient):
    """Answers from a table; remembers what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.documents: list[bytes] = []

    def get(self, path: str) -> dict[str, Any]:
        self.asked.append(path)
        answer: dict[str, Any] = self.answers[path.rpartition("/")[2].partition("?")[0]]
        return answer

    def post(self, path: str, document: bytes = b"") -> dict[str, Any]:
        self.documents.append(document)
        return self.get(path)


def listing(**capture: Any) -> dict[str, Any]:
    return {"in_force": "ref-1", "because": "", "capture": {**DONE, **capture}, "sets": [{**SET, "retired": False}]}


def test_a_capture_ends_with_a_picture_its_cost_and_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    daemon = Daemon(capture={}, references=listing(), show={**SET, "references": [ONE]})
    assert references.capture(daemon, 5, meant=False, as_json=False) == ExitCode.OK
    said = " ".join(capsys.readouterr().out.split())
    assert daemon.asked[0].endswith("/capture?repeats=5")
    for words in ("fact-sea", "██████████░░░░░░░░░░ 50%", "0.970 ± 0.010", "0.0021", "1,234 tokens"):
        assert words in said, words
    assert "without log-probabilities: the engine gives no prompt_logprobs" in said


def test_a_capture_that_fails_blesses_nothing_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    daemon = Daemon(capture={}, references=listing(state="failed", because="the engine is saturated"))
    assert references.capture(daemon, 0, meant=False, as_json=False) == ExitCode.REFUSED
    assert "nothing was blessed: the engine is saturated" in capsys.readouterr().err


def test_scripts_get_one_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    daemon = Daemon(capture={}, references=listing(), show={**SET, "references": [ONE]}, retire=SET)
    references.capture(daemon, 0, meant=False, as_json=True)
    assert json.loads(capsys.readouterr().out) == DONE
    references.show_list(daemon, as_json=True)
    assert json.loads(capsys.readouterr().out)["in_force"] == "ref-1"
    references.show_set(daemon, "", as_json=True)
    assert json.loads(capsys.readouterr().out)["references"] == [ONE]
    references.retire(daemon, "ref-1", as_json=True)
    assert json.loads(capsys.readouterr().out) == SET


def test_a_list_without_a_set_in_force_says_why_and_exits_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    retired = {**SET, "retired": True}
    daemon = Daemon(references={**listing(), "in_force": "", "because": "none of these", "sets": [retired]})
    assert references.show_list(daemon, as_json=False) == ExitCode.PROBLEM_FOUND
    said = capsys.readouterr().out
    assert "ref-1" in said and "retired" in said and "none of these" in said


def test_an_exported_set_is_a_file_of_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "set.json"
    assert references.export(Daemon(export={"format": 1}), "ref-1", file) == ExitCode.OK
    assert json.loads(file.read_text()) == {"format": 1}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(BadInput, match="name another file"):
        references.export(Daemon(export={}), "", tmp_path / "missing" / "set.json")


def test_a_file_is_taken_in_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "set.json"
    file.write_bytes(b'{"format": 1}')
    daemon = Daemon(**{"import": SET})
    assert references.import_set(daemon, file, as_json=False) == ExitCode.OK
    assert daemon.documents == [b'{"format": 1}'] and "blessed ref-1: 1 references" in capsys.readouterr().out
    with pytest.raises(BadInput, match="No such file"):
        references.import_set(daemon, tmp_path / "missing.json", as_json=False)
