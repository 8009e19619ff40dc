"""Two answers of different allowed length, cut to what both were allowed to say. Pure.

A user's answer may be longer than the blessed ones, which end at the canaries' own limit, or shorter. Where one was
stopped by its limit, the other counts only as far; the word in the middle of which it was stopped counts for neither.
"""

from __future__ import annotations

from collections.abc import Sequence

from watchtower.scoring.measures.texts import Completion

LIMITED = "length"


def aligned(answer: Completion, blessed: Sequence[Completion]) -> tuple[str, list[str]]:
    """``answer`` and each of ``blessed`` as far as both go. Raises ValueError without a blessed answer."""
    if not blessed:
        raise ValueError("no blessed answer to compare with")
    most = _words(answer)
    bounds = [bound for bound in (most, *map(_words, blessed)) if bound is not None]
    if not bounds:
        return answer.text, [good.text for good in blessed]
    return _cut(answer.text, min(bounds)), [_cut(good.text, min(bounds)) for good in blessed]


def _words(answer: Completion) -> int | None:
    """Whole words that a limit allowed; None where no limit ended it."""
    return max(1, len(answer.text.split()) - 1) if answer.finish_reason == LIMITED else None


def _cut(text: str, words: int) -> str:
    pieces = text.split(maxsplit=words)
    return text if len(pieces) <= words else text[: len(text) - len(pieces[words])].rstrip()
