"""Cheap checks of one answer's text: what embeddings miss. Pure; under a millisecond for an ordinary answer.

A check fails only where no blessed answer fails it too: a prompt that asks for the same line fifty times, for Greek or
for a cut list is not faulty when it gets that. Thresholds are set so that ordinary answers of real models pass (see
``tests/scoring/measures/test_texts.py``, on 16,000 of them); a fault is evidence of a broken engine, not a matter of
taste.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

LOOP_TIMES = 8
"""A phrase that stands so often in a row…"""
LOOP_WORDS = 40
"""…and covers so many words is a loop."""
LONGEST_PHRASE = 40
"""Words; a longer period is looked for among lines."""
LOOP_LINES = 8
"""The same line of at least three words so often in a row."""
LOOP_CHARACTERS = 200
"""Covered by one short period: for scripts without blanks, and for ``hahaha``."""
LONGEST_SYLLABLES = 20
"""Characters of that period."""
WINDOW = 12
FEWEST_WINDOWS = (LOOP_CHARACTERS - WINDOW) // LONGEST_SYLLABLES
"""So often must some stretch of ``WINDOW`` characters stand in such a run, whatever its period."""
LOOKED_AT = 20_000
"""Characters of an answer's end in which loops are looked for: a loop goes on to the end."""
FOREIGN_LETTERS = 0.2
"""Share of letters in a script that neither the prompt nor a blessed answer uses."""
USED_SCRIPT = 0.02
"""Share of letters from which a script counts as used."""
FEWEST_LETTERS = 20
BROKEN_CHARACTERS = 2
"""Replacement characters, control characters and pieces of UTF-8 that were read as Latin-1. One may be a cut token."""
RUNAWAY_TIMES = 3.0
RUNAWAY_WORDS = 100
"""So many times, and so many words more than the longest blessed answer."""
CUT_SHARE = 0.5
"""Without a finish reason: shorter than this share of the shortest blessed answer, and not at the end of a sentence."""

_DOUBLY_ENCODED = re.compile("[\u00c2-\u00f4][\u0080-\u00bf\u0152-\u0192\u02c6-\u02dc\u2013-\u203a\u20ac\u2122]+")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f]")
_SENTENCE_ENDS = set(".!?:;…。！？)]}\"'”’»`|*_>")
_LETTER = re.compile(r"[^\W\d_]")


class Completion(msgspec.Struct, frozen=True):
    """One answer of an engine."""

    text: str
    finish_reason: str = ""
    """As the engine said (``stop``, ``length``); "" when it said nothing."""


def faults(answer: Completion, blessed: Sequence[Completion] = (), prompt: str = "") -> list[str]:
    """Names of the checks that this answer fails and no blessed one does, in a fixed order.

    Without ``blessed`` the checks that need a comparison (``wrong_script`` without a prompt too, ``runaway``,
    ``truncated`` where there is no finish reason) pass."""
    if _empty(answer.text):
        return [] if any(_empty(good.text) for good in blessed) else ["empty"]
    found = [
        name for name, fails in _ALONE.items() if fails(answer.text) and not any(fails(good.text) for good in blessed)
    ]
    if wrong_script(answer.text, [prompt, *(good.text for good in blessed)]):
        found.append("wrong_script")
    if runaway(answer, blessed):
        found.append("runaway")
    if truncated(answer, blessed):
        found.append("truncated")
    return found


def _empty(text: str) -> bool:
    return not any(character.isprintable() and not character.isspace() for character in text)


def loops(text: str) -> bool:
    """Whether a phrase, a line or a handful of characters goes round and round."""
    tail = text[-LOOKED_AT:]
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    if _longest_run(*_numbered(lines, lambda line: len(line.split()) >= 3), 1) >= LOOP_LINES:
        return True
    words = tail.split()
    if _most_common(list(pairwise(words))) >= LOOP_TIMES - 1 and _phrases_loop(words):
        return True
    return _most_common([tail[i : i + WINDOW] for i in range(len(tail) - WINDOW)]) >= FEWEST_WINDOWS and (
        _syllables_loop(tail)
    )


def _most_common(items: Sequence[Hashable]) -> int:
    """How often: a cheap look that spares ordinary answers the search for a period."""
    return max(Counter(items).values(), default=0)


def _phrases_loop(words: Sequence[str]) -> bool:
    numbers, weighty = _numbered(words, lambda word: _LETTER.search(word) is not None)
    for period in range(1, min(LONGEST_PHRASE, len(numbers) // LOOP_TIMES) + 1):
        if _longest_run(numbers, weighty, period) >= max(LOOP_WORDS, LOOP_TIMES * period):
            return True
    return False


def _syllables_loop(tail: str) -> bool:
    characters, weighty = _numbered(tail, str.isalpha)
    periods = range(1, LONGEST_SYLLABLES + 1)
    return any(_longest_run(characters, weighty, period) >= LOOP_CHARACTERS for period in periods)


def _numbered(items: Sequence[str], counts: Callable[[str], bool]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Equal items get equal numbers; beside each whether it counts (a row of dashes is no loop)."""
    numbers = {item: number for number, item in enumerate(dict.fromkeys(items))}
    weights = [counts(item) for item in numbers]
    found = np.array([numbers[item] for item in items], dtype=np.int64)
    return found, np.array(weights, dtype=np.bool_)[found] if len(found) else np.zeros(0, dtype=np.bool_)


def _longest_run(items: NDArray[np.int64], weighty: NDArray[np.bool_], period: int) -> int:
    """Items covered by the longest stretch of that period in which at least one item counts; 0 without one."""
    if len(items) <= period:
        return 0
    same = np.concatenate(([False], items[period:] == items[:-period], [False]))
    starts, ends = np.flatnonzero(~same[:-1] & same[1:]), np.flatnonzero(same[:-1] & ~same[1:])
    heavy = np.concatenate(([0], np.cumsum(weighty[period:])))
    runs = (ends - starts)[heavy[ends] > heavy[starts]]
    return int(runs.max()) + period if len(runs) else 0


def mojibake(text: str) -> bool:
    """Characters that no model means: wrongly decoded bytes."""
    broken = text.rstrip("\ufffd").count("\ufffd") + len(_CONTROL.findall(text))
    broken += sum(_was_utf8(match.group()) for match in _DOUBLY_ENCODED.finditer(text))
    return broken >= BROKEN_CHARACTERS


def _was_utf8(piece: str) -> bool:
    for codec in ("cp1252", "latin-1"):
        try:
            piece.encode(codec).decode("utf-8")
        except UnicodeError:
            continue
        return True
    return False


def wrong_script(text: str, known: Sequence[str]) -> bool:
    """Whether a fifth of its letters are in scripts that none of ``known`` uses; False where ``known`` has none."""
    used = {script for other in known for script, share in _scripts(other)[1].items() if share >= USED_SCRIPT}
    letters, shares = _scripts(text)
    if not used or letters < FEWEST_LETTERS:
        return False
    return sum(share for script, share in shares.items() if script not in used) >= FOREIGN_LETTERS


def _scripts(text: str) -> tuple[int, dict[str, float]]:
    """How many letters, and the share of each script among them."""
    counts: Counter[str] = Counter()
    for character, count in Counter(text).items():
        if character.isalpha():
            counts[_script(character)] += count
    total = sum(counts.values())
    return total, {script: count / total for script, count in counts.items()}


@lru_cache(maxsize=4096)
def _script(character: str) -> str:
    """First word of the character's Unicode name, which for letters is the script."""
    first = unicodedata.name(character, "OTHER").partition(" ")[0]
    return {"FULLWIDTH": "LATIN", "MATHEMATICAL": "LATIN", "MODIFIER": "LATIN", "MICRO": "GREEK"}.get(first, first)


def runaway(answer: Completion, blessed: Sequence[Completion]) -> bool:
    """Far longer than any blessed answer."""
    longest = max((_length(good.text) for good in blessed), default=None)
    length = _length(answer.text)
    return longest is not None and length > max(RUNAWAY_TIMES * longest, longest + RUNAWAY_WORDS)


def truncated(answer: Completion, blessed: Sequence[Completion]) -> bool:
    """Cut off where the blessed answers are not: by the engine's own word, else by being half and ending anywhere."""
    if answer.finish_reason:
        return answer.finish_reason == "length" and not any(good.finish_reason == "length" for good in blessed)
    shortest = min((_length(good.text) for good in blessed), default=0)
    whole = all(_ends(good.text) for good in blessed)
    return whole and _length(answer.text) < CUT_SHARE * shortest and not _ends(answer.text)


def _ends(text: str) -> bool:
    """At the end of a sentence, a line or a list."""
    return text.endswith("\n") or text.rstrip()[-1:] in _SENTENCE_ENDS


def _length(text: str) -> float:
    """Words; scripts without blanks count a word for every twelve characters."""
    return max(len(text.split()), len(text) / 12)


_ALONE: dict[str, Callable[[str], bool]] = {"loop": loops, "mojibake": mojibake}
