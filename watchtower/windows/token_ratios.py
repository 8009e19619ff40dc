"""How many tokens a piece of text holds, where an engine sends text without counts.

One piece is at least one token, so the time between two pieces is at most the time per token: that may prove that all
is well. That something is slow is proven only by the ratio of tokens to pieces. It is learned from ended answers whose
total the engine told, apart for each dialect and model, or else from the engine's own counter of generated tokens over
the last minute, which counts everybody together. Its lower end is used: no more tokens than are sure. Nothing outlives
the engine that it was learned from; a new one may be configured otherwise.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final, NamedTuple

import numpy as np

from watchtower.windows.estimates import student_t
from watchtower.windows.series import Count

FEWEST_ANSWERS: Final = 20
MOST_ANSWERS: Final = 200
"""The newest count; a change of the engine's settings without a restart is then learned anew."""
MOST_KEYS: Final = 64
"""Dialects and models; clients choose the names."""
COUNTER_SECONDS: Final = 60.0
FEWEST_SPANS: Final = 3
"""Between two scrapes."""
LEAST_PIECES: Final = 50
"""In a minute, below which the counter says nothing."""
ONE_EACH: Final = 1.1
"""Below this many tokens a piece it is one: engines count an end or a special token that they never send as text."""


class TokenRatio(NamedTuple):
    """Tokens a piece of text, at least 1."""

    low: float
    high: float

    @property
    def surety(self) -> Count:
        """How sure a time is that was made with ``low``."""
        return Count(self.low / self.high, estimated=True)


class Pair(NamedTuple):
    """Of one answer, or between two scrapes."""

    pieces: int
    tokens: float


class Seen(NamedTuple):
    """Cumulative, at one instant."""

    generated: float
    """Tokens, by the engine's own counter."""
    pieces: int
    """Of text, each of at least one token."""
    exact: int
    """Tokens of answers whose tokens are counted."""
    unread: int
    """Times that answers passed which are not read."""


class TokenRatios:
    """What is known of the engine of today."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], deque[Pair]] = {}
        self._known: dict[tuple[str, str], TokenRatio] = {}
        self._spans: deque[tuple[float, Pair]] = deque()
        self._counter: TokenRatio | None = None
        self._before: Seen | None = None

    def of(self, path: str, model: str) -> TokenRatio | None:
        """None: not known yet."""
        return self._known.get((_dialect(path), model)) or self._counter

    def ended(self, path: str, model: str, pieces: int, tokens: int) -> None:
        """An answer of so many pieces ended well, and the engine told its total."""
        if pieces <= 0 or tokens <= 0:
            return
        key = (_dialect(path), model)
        answers = self._answers.pop(key, None) or deque(maxlen=MOST_ANSWERS)
        self._answers[key] = answers  # the newest key stands last
        answers.append(Pair(pieces, tokens))
        if len(answers) >= FEWEST_ANSWERS:
            self._known[key] = _ratio(answers)
        if len(self._answers) > MOST_KEYS:
            oldest = next(iter(self._answers))
            del self._answers[oldest]
            self._known.pop(oldest, None)

    def scraped(self, at: float, seen: Seen) -> None:
        """The engine told its counter at ``at``. Where answers passed unread since the last time, or the counter fell,
        it says nothing about those that we read."""
        before, self._before = self._before, seen
        if before is None or seen.generated < before.generated or seen.unread != before.unread:
            self._spans.clear()
            self._counter = None
            return
        tokens = seen.generated - before.generated - (seen.exact - before.exact)
        self._spans.append((at, Pair(seen.pieces - before.pieces, tokens)))
        while self._spans[0][0] <= at - COUNTER_SECONDS:
            self._spans.popleft()
        pairs = [pair for _, pair in self._spans]
        enough = len(pairs) >= FEWEST_SPANS and sum(pair.pieces for pair in pairs) >= LEAST_PIECES
        self._counter = _ratio(pairs) if enough else None


def _ratio(pairs: deque[Pair] | list[Pair]) -> TokenRatio:
    """Of the sums, with its 95 % band from the residuals of the pairs (a ratio estimator)."""
    pieces, tokens, count = sum(pair.pieces for pair in pairs), sum(pair.tokens for pair in pairs), len(pairs)
    ratio = tokens / pieces
    squares = sum((pair.tokens - ratio * pair.pieces) ** 2 for pair in pairs)
    reach = float(student_t(np.array([count - 1]))[0]) * math.sqrt(count / (count - 1) * squares) / pieces
    low = max(1.0, ratio - reach)
    high = max(low, ratio + reach)
    return TokenRatio(1.0 if high < ONE_EACH else low, high)


def _dialect(path: str) -> str:
    """The tail of the path, by which dialects are found: a prefix before it is the operator's."""
    return "/".join(path.rsplit("/", 2)[-2:])
