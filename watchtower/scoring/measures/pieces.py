"""Where to cut a long answer, so that its end counts as much as its beginning. Pure.

The encoder reads 256 word pieces and silently ignores the rest. Longer texts are cut into equally long, overlapping,
evenly spaced pieces; equally long, so that their plain mean is fair. A text beyond ``MOST_PIECES`` is sampled evenly
from beginning to end rather than read whole: an answer that runs away must not cost minutes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

OVERLAP = 64
"""Word pieces that neighbours share."""
MOST_PIECES = 32
WORDS_PER_PIECE = 170
"""For encoders whose tokenizer we do not have: so many words are 256 word pieces or fewer in most languages."""


def starts(length: int, size: int, overlap: int = OVERLAP, most: int = MOST_PIECES) -> list[int]:
    """First index of each piece of ``size`` out of ``length``; the last piece ends at the end."""
    if length <= size:
        return [0]
    count = min(most, math.ceil((length - overlap) / (size - overlap)))
    return [round(index * (length - size) / (count - 1)) for index in range(count)] if count > 1 else [0]


def cut(text: str, tokens: Sequence[tuple[int, int]], size: int) -> list[str]:
    """``text`` in pieces of ``size`` tokens, whose (begin, end) in characters are ``tokens``."""
    if len(tokens) <= size:
        return [text]
    return [text[tokens[first][0] : tokens[first + size - 1][1]] for first in starts(len(tokens), size)]


def cut_by_words(text: str) -> list[str]:
    """The same without a tokenizer."""
    words = text.split()
    if len(words) <= WORDS_PER_PIECE:
        return [text]
    return [" ".join(words[first : first + WORDS_PER_PIECE]) for first in starts(len(words), WORDS_PER_PIECE, 40)]
