"""Every mistake in a file of answers is told with its line, and no answer is quoted."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from watchtower.services.comparing.answer_files import read_answers
from watchtower.vocabulary.errors import BadInput


def mistakes(path: Path, *lines: str) -> list[str]:
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        read_answers(path)
    return [str(problem).replace(str(path), "FILE") for problem in caught.value.problems]


def test_ids_may_be_numbers_and_names_may_differ(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(
        '{"id": 1, "output": "one", "instruction": "say"}\n\n{"prompt_id": "x", "response": "", "more": 1}\n'
    )
    found = read_answers(file)
    assert list(found) == ["1", "x"]
    assert (found["1"].prompt, found["x"].output) == ("say", "")


def test_a_packed_file_is_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl.gz"
    file.write_bytes(gzip.compress(b'{"id": 1, "output": "one"}\n'))
    assert read_answers(file)["1"].output == "one"
    file.write_bytes(gzip.compress(b'{"id": 1, "output": "one"}\n')[:-9])
    with pytest.raises(BadInput, match="not a whole gzip file"):
        read_answers(file)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{secret", "not JSON"),
        ('"secret"', "not a JSON object"),
        ('{"output": "secret"}', "id · no id that is text or a whole number"),
        ('{"id": true, "output": "secret"}', "id · no id that is text or a whole number"),
        ('{"id": 2}', "output · no output that is text"),
        ('{"id": 2, "output": null, "x": "secret"}', "output · no output that is text"),
        ('{"id": 1, "output": "secret"}', "id · stands in line 1 already"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, line: str, what: str) -> None:
    told = mistakes(tmp_path / "a.jsonl", '{"id": 1, "output": "fine"}', line)
    assert len(told) == 1
    assert told[0].startswith(("FILE:2 · " + what, "FILE:2 · nested too deep"))
    assert "secret" not in told[0]


def test_all_mistakes_come_at_once_but_not_a_thousand(tmp_path: Path) -> None:
    told = mistakes(tmp_path / "a.jsonl", *["nonsense"] * 1000)
    assert len(told) == 21
    assert "perhaps more" in told[-1]


def test_an_empty_or_missing_file_is_told(tmp_path: Path) -> None:
    assert "the file is empty" in mistakes(tmp_path / "a.jsonl", "")[0]
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(BadInput, match="name a file of answers"):
            read_answers(path)
