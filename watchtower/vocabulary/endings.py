"""What each ending counts as: the one table, for readings, metrics, spans and whoever else judges by an ending.

A share of failures has every answer in its denominator that says something about the engine: the good ones, those
apart, the failed, those that the caller had wrong and those that were turned away. What was cut short by the client,
answered by us, or not readable says nothing and is in no share.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from watchtower.vocabulary.facts import Ending


class CountsAs(StrEnum):
    """Kinds of endings."""

    GOOD = "good"
    """The only kind that is continuity, that ends a warm-up, and that ratios are learned from."""
    APART = "apart"
    """Whole and empty: no failure that the engine admits, and nothing that anybody asked for."""
    FAILURE = "failure"
    CALLERS = "callers"
    """The caller's mistake."""
    TURNED_AWAY = "turned_away"
    NEITHER = "neither"
    """It says nothing about the engine."""


COUNTS_AS: Final[dict[Ending, CountsAs]] = {
    Ending.COMPLETE: CountsAs.GOOD,
    Ending.EMPTY: CountsAs.APART,
    Ending.FAILED: CountsAs.FAILURE,
    Ending.ERROR: CountsAs.FAILURE,
    Ending.TRUNCATED: CountsAs.FAILURE,
    Ending.REFUSED: CountsAs.CALLERS,
    Ending.SHED: CountsAs.TURNED_AWAY,
    Ending.CLIENT_LEFT: CountsAs.NEITHER,
    Ending.OURS: CountsAs.NEITHER,
    Ending.UNOBSERVED: CountsAs.NEITHER,
}
"""Of every ending."""
FAILURES: Final = frozenset(ending for ending, counts in COUNTS_AS.items() if counts is CountsAs.FAILURE)
"""Endings that are the engine's fault."""
