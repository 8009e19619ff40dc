"""An answer as a vector of its words and word pairs: what two answers say, without an encoder. Pure and fast.

Counts are hashed into a fixed width (CRC-32: the same everywhere), damped by a square root and normalised. It sees
wording, not meaning; where an encoder is installed it stands beside it.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

WIDTH = 1024
_WORD = re.compile(r"\w+|[^\w\s]|\n")
_LIST_OR_HEADING = re.compile(r"\s*(?:[-*#|•>`]|\d+[.)])")


def worded(texts: Sequence[str]) -> NDArray[np.float32]:
    """A unit row for each text (a row of zeros for one without words)."""
    found = np.zeros((len(texts), WIDTH), dtype=np.float32)
    for row, text in zip(found, texts, strict=True):
        words = _WORD.findall(text.lower())
        for gram in [*words, *(f"{word} {following}" for word, following in pairwise(words))]:
            row[zlib.crc32(gram.encode("utf-8", "replace")) % WIDTH] += 1
    np.sqrt(found, out=found)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    normalised: NDArray[np.float32] = found / np.maximum(lengths, 1e-9)
    return normalised


def formed(texts: Sequence[str]) -> NDArray[np.float32]:
    """A row for each text: logarithms of its words and lines, and its share of markup."""
    rows = [[math.log(len(text.split()) + 3), math.log1p(text.count("\n")), markup(text)] for text in texts]
    return np.array(rows, dtype=np.float32).reshape(len(texts), 3)


def markup(text: str) -> float:
    """Share of the lines that are list items, headings, tables, quotes or code fences."""
    lines = [line for line in text.splitlines() if line.strip()]
    return sum(bool(_LIST_OR_HEADING.match(line)) for line in lines) / len(lines) if lines else 0.0
