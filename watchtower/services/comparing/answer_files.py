"""Answers from a file: one JSON object a line, with a prompt's id and the output. Every mistake with its line number.

``id`` may also be called ``prompt_id``; ``output``, ``response``, ``completion``, ``answer`` or ``text`` are the same.
``prompt`` (or ``instruction``) and ``finish_reason`` are used when they are there. A name that ends in ``.gz`` is
unpacked. No message quotes a prompt or an output.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from watchtower.vocabulary.errors import BadInput, Problem

IDS = ("id", "prompt_id")
OUTPUTS = ("output", "response", "completion", "answer", "text")
PROMPTS = ("prompt", "instruction")
MOST_PROBLEMS = 20
MOST_BYTES = 2 * 1024**3
"""Unpacked."""


class FileAnswer(msgspec.Struct, frozen=True):
    """One line of a file."""

    id: str
    output: str
    prompt: str = ""
    finish_reason: str = ""


def read_answers(path: Path) -> dict[str, FileAnswer]:
    """By id, in the file's order. Raises BadInput with every mistake (the first twenty)."""
    found: dict[str, FileAnswer] = {}
    first_seen: dict[str, int] = {}
    problems: list[Problem] = []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        answer = _answer(line, where)
        if isinstance(answer, Problem):
            problems.append(answer)
        elif answer.id in found:
            cure = "each prompt once · with several answers to each, compare one file at a time"
            problems.append(Problem(where, "id", f"stands in line {first_seen[answer.id]} already", cure))
        else:
            found[answer.id] = answer
            first_seen[answer.id] = number
        if len(problems) >= MOST_PROBLEMS:
            problems.append(Problem(str(path), "", "and perhaps more", "these first"))
            break
    if not found and not problems:
        problems.append(Problem(str(path), "", "the file is empty", 'one line for each answer: {"id": …, "output": …}'))
    if problems:
        raise BadInput(problems)
    return found


def _lines(path: Path) -> Iterator[bytes]:
    """Raises BadInput where the file cannot be read."""
    read = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                read += len(line)
                if read > MOST_BYTES:
                    raise BadInput([Problem(str(path), "", "more than 2 GiB", "compare a part of it")])
                yield line
    except (gzip.BadGzipFile, EOFError, zlib.error) as problem:
        raise BadInput(
            [Problem(str(path), "", "not a whole gzip file", "pack it again, or name it .jsonl")]
        ) from problem
    except OSError as problem:
        cure = "name a file of answers, one JSON object a line"
        raise BadInput([Problem(str(path), "", problem.strerror or "cannot be read", cure)]) from problem


def _answer(line: bytes, where: str) -> FileAnswer | Problem:
    shape = 'each line is {"id": …, "output": …}'
    try:
        given = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Problem(where, "", "not JSON", shape)
    except RecursionError:
        return Problem(where, "", "nested too deep", shape)
    if not isinstance(given, dict):
        return Problem(where, "", "not a JSON object", shape)
    id, output = _first(given, IDS), _first(given, OUTPUTS)
    if not isinstance(id, str | int) or isinstance(id, bool) or id == "":
        return Problem(where, "id", "no id that is text or a whole number", shape)
    if not isinstance(output, str):
        return Problem(where, "output", "no output that is text", shape + "; an empty answer is an empty text")
    prompt, reason = _first(given, PROMPTS), given.get("finish_reason")
    return FileAnswer(
        str(id), output, prompt if isinstance(prompt, str) else "", reason if isinstance(reason, str) else ""
    )


def _first(given: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((given[name] for name in names if name in given), None)
