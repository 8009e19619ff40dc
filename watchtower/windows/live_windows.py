"""Answers to users who asked a reference's question greedily: the newest for each reference inside the window.

Paired like a canary, yet nobody chose the moment, and one user may ask the same thing a thousand times: a reference
counts once. Read by whoever looks closer; no shipped rule judges it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from watchtower.vocabulary.facts import AnyFact, LiveAnswered, ReferencesKnown
from watchtower.vocabulary.readings import Reading
from watchtower.vocabulary.reasons import Reason, ReasonKind

FAMILIES: Final = ("live_agreement", "live_similarity")
PART: Final = "references"
FEWEST: Final = 3
"""References that users asked, below which nothing is said."""
_SCORES: dict[str, Callable[[LiveAnswered], float | None]] = {
    "live_agreement": lambda answer: answer.prefix_agreement,
    "live_similarity": lambda answer: answer.similarity,
}
_RANGES: dict[str, tuple[float, float]] = {"live_agreement": (0.0, 1.0), "live_similarity": (-1.0, 1.0)}
_Z95: Final = 1.96


class LiveWindows:
    """Absorbs scored answers; reads the families above."""

    names = FAMILIES

    def __init__(self) -> None:
        self._newest: dict[str, LiveAnswered] = {}
        self._unusable: Reason | None = None
        self._since = -math.inf

    def absorb(self, fact: AnyFact) -> None:
        match fact:
            case LiveAnswered():
                self._answered(fact)
            case ReferencesKnown():
                self._adopt(fact)
            case _:
                pass

    def _adopt(self, fact: ReferencesKnown) -> None:
        """Other references than before."""
        self._newest.clear()
        self._unusable = None if fact.usable else Reason(fact.kind, fact.because, PART)

    def _answered(self, fact: LiveAnswered) -> None:
        before = self._newest.get(fact.reference)
        if fact.at >= self._since and (before is None or fact.at >= before.at):
            self._newest[fact.reference] = fact

    def reset(self, mark: float) -> None:
        """Another incarnation of the engine."""
        self._since = mark
        self._newest.clear()

    def read(self, name: str, over: float, now: float) -> Reading:
        family = name.partition(".")[0]
        fresh = [answer for answer in self._newest.values() if now - over <= answer.at <= now]
        scores = [score for answer in fresh if (score := _SCORES[family](answer)) is not None]
        if self._unusable is not None or len(scores) < FEWEST:
            too_few = f"users asked too few references' questions: {len(scores)} of {FEWEST}"
            reason = self._unusable or Reason(ReasonKind.TOO_FEW, too_few, PART)
            return Reading(name=name, over=over, at=now, value=None, reason=reason, samples=len(scores))
        mean = sum(scores) / len(scores)
        margin = _Z95 * math.sqrt(sum((score - mean) ** 2 for score in scores) / (len(scores) - 1) / len(scores))
        least, most = _RANGES[family]
        low, high = max(least, mean - margin), min(most, mean + margin)
        return Reading(name=name, over=over, at=now, value=mean, low=low, high=high, samples=len(scores))
