"""Counts that grow: some engines tell, with every piece of an answer, how many tokens it has by now.

The engine's own count is exact, however many tokens a piece holds. An exchange may have several answers (n > 1, a list
of prompts); each piece names its own by a number.
"""

from __future__ import annotations

from typing import Final

from watchtower.exchanges.exchange import Exchange

MOST_ANSWERS: Final = 4096
"""Of one exchange that are counted."""


class RunningTotals:
    """Of one exchange. Tokens go to ``exchange.fresh``, their sum to ``exchange.completion_tokens``."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._totals: dict[int, int] = {}
        self._sum = 0
        self._unfinished: set[int] = set()
        self._several = False

    @property
    def all_finished(self) -> bool:
        """Every answer that was seen has ended."""
        return not self._unfinished

    def found(self, answer: int, total: int, *, finished: bool) -> None:
        """``answer`` has ``total`` tokens by now. ``finished``: and no more will come."""
        before = self._totals.get(answer)
        if before is None and len(self._totals) >= MOST_ANSWERS:
            return
        if answer and not self._several:
            self._several = True
            self._exchange.split(first_open=0 in self._unfinished)
        if before is None:
            self._unfinished.add(answer)
        tokens = max(0, total - (before or 0))
        self._totals[answer] = (before or 0) + tokens
        self._sum += tokens
        self._count(answer, tokens, finished=finished)
        if finished:
            self._unfinished.discard(answer)
            self._exchange.completion_tokens = self._sum

    def _count(self, answer: int, tokens: int, *, finished: bool) -> None:
        exchange = self._exchange
        exchange.fresh += tokens
        if self._several:
            uneven = exchange.uneven
            uneven.seen(answer)
            if tokens:
                uneven.tokens_of(answer, tokens)
            if finished:
                uneven.finished(answer)
