"""A broken answer is named, an ordinary one never is."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from watchtower.scoring.measures.texts import Completion, faults

SENTENCE = "The quick brown fox jumps over the lazy dog near the old river bank."
ESSAY = " ".join(f"Point {number}: every word here belongs to sentence number {number}." for number in range(40))


def named(text: str, *blessed: str, prompt: str = "", finish: str = "") -> list[str]:
    return faults(Completion(text, finish), [Completion(answer) for answer in blessed], prompt)


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b\u200b", "\x00"])
def test_nothing_visible_is_empty(text: str) -> None:
    assert named(text, SENTENCE) == ["empty"]


@pytest.mark.parametrize(
    "text",
    [
        "I am sorry. " * 20,
        "Answer: " + "no, " * 50,
        "\n".join(["this line comes again"] * 9),
        "哈" * 210,
        "ent" * 80,
        ESSAY + " and then " + "round and round we go " * 12,
    ],
)
def test_what_goes_round_and_round_is_a_loop(text: str) -> None:
    assert named(text) == ["loop"]


@pytest.mark.parametrize(
    "text",
    [
        SENTENCE,
        ESSAY,
        "-" * 300,
        "| --- " * 30 + "|",
        "very, very, very good",
        "0 " * 200,
        "\n".join(f"- item {number}" for number in range(30)),
    ],
)
def test_tables_rules_numbers_and_emphasis_are_no_loop(text: str) -> None:
    assert "loop" not in named(text)


@pytest.mark.parametrize(
    "text",
    ["The answer \ufffd\ufffd is", "CafÃ© and naÃ¯ve and â€œquotesâ€\u009d", "a\x08b\x08c", "donâ€™t and wonâ€™t"],
)
def test_wrongly_decoded_bytes_are_mojibake(text: str) -> None:
    assert named(text + " " + SENTENCE) == ["mojibake"]


@pytest.mark.parametrize(
    "text", ["Café naïve Ãkta", "Größe – “quoted” … €5", "half a character at the end \ufffd\ufffd"]
)
def test_ordinary_characters_and_a_token_cut_at_the_end_are_no_mojibake(text: str) -> None:
    assert named(text + ("" if text.endswith("\ufffd") else " " + SENTENCE)) == []


def test_an_answer_in_a_script_that_nobody_asked_for_is_told() -> None:
    russian = "Быстрая коричневая лиса перепрыгивает через ленивую собаку у реки."
    assert named(russian, SENTENCE, prompt="Tell me about the fox") == ["wrong_script"]
    assert named(russian, SENTENCE, prompt="Translate to Russian, e.g. лиса") == []
    assert named(russian, russian) == []
    assert named(russian) == []


def test_far_more_than_any_blessed_answer_is_runaway() -> None:
    assert named(ESSAY, SENTENCE) == ["runaway"]
    assert named(ESSAY, SENTENCE, ESSAY) == []


def test_an_answer_that_stops_short_is_truncated() -> None:
    assert named("The quick brown", SENTENCE) == ["truncated"]
    assert named("The fox jumps.", SENTENCE) == []
    assert named(SENTENCE, SENTENCE, finish="length") == ["truncated"]
    assert faults(Completion(SENTENCE, "length"), [Completion(SENTENCE, "length")]) == []


def test_what_a_blessed_answer_does_too_is_no_fault() -> None:
    line = "I must not talk in class. " * 20
    assert named(line, line) == []
    assert named("", "") == []


@pytest.mark.skipif("WATCHTOWER_TEST_DATA" not in os.environ, reason="WATCHTOWER_TEST_DATA is not set")
def test_ordinary_answers_of_a_real_model_pass() -> None:
    folder = Path(os.environ["WATCHTOWER_TEST_DATA"]) / "alpaca-eval-outputs"
    with gzip.open(folder / "gpt-3.5-turbo-0301.jsonl.gz") as file:
        outputs = [json.loads(line)["output"] for line in file][:300]
    assert [found for output in outputs if (found := named(output))] == []
