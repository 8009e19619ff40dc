"""What the reference canaries say of meaning: the newest answer of each reference inside the window, and their mean.

Pairing is what gives power, so one reference counts once, however often it was asked. A band is a normal one over the
references. Where data-parallel ranks are asked one by one, a reading is that of the worst: it must not hide in a mean.
Answers from before a restart of the engine, or under other references, count no more.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Final

from watchtower.vocabulary.facts import AnyFact, CanaryRound, ReferenceAnswered, ReferencesKnown
from watchtower.vocabulary.readings import Reading
from watchtower.vocabulary.reasons import Reason, ReasonKind
from watchtower.vocabulary.references import CAUSES
from watchtower.windows.estimates import share

FAMILIES: Final = ("similarity", "prefix_agreement", "cache_agreement", "logprob_shift", "malformed_output")
PART: Final = "references"
NOBODY_KNOWS: Final = Reason(ReasonKind.TOO_FEW, "whether references exist is not known yet", PART)
FEWEST_CHECKS: Final = 3
"""References asked through the prefix cache: they are few, because a check doubles a question's cost."""
_SCORES: dict[str, Callable[[ReferenceAnswered], float | None]] = {
    "similarity": lambda answer: answer.similarity,
    "prefix_agreement": lambda answer: answer.prefix_agreement,
    "cache_agreement": lambda answer: answer.cache_agreement,
    "logprob_shift": lambda answer: answer.logprob_shift,
    "malformed_output": lambda answer: float(bool(answer.faults)),
}
_RANGES: dict[str, tuple[float, float]] = {
    "similarity": (-1.0, 1.0),
    "prefix_agreement": (0.0, 1.0),
    "cache_agreement": (0.0, 1.0),
    "logprob_shift": (0.0, math.inf),
}
FEWEST_MOVED: Final = 3
"""Answers whose log-probabilities moved before the cause is told: an incident opens in the middle of a round."""
MOST: Final = 0.5
"""Share of the answers that must point at the cache or the template: words may differ by chance."""
_Z95: Final = 1.96
WORSE_ABOVE: Final = ("logprob_shift", "malformed_output")


def _scores(family: str, answers: list[ReferenceAnswered]) -> list[float]:
    return [score for answer in answers if (score := _SCORES[family](answer)) is not None and math.isfinite(score)]


class MeaningWindows:
    """Absorbs what canaries report; reads the families above."""

    names = FAMILIES

    def __init__(self, minimum_answers: int) -> None:
        self._minimum = minimum_answers
        self._known: ReferencesKnown | None = None
        self._newest: dict[tuple[int, str], ReferenceAnswered] = {}  # by rank and reference
        self._unasked: CanaryRound | None = None
        self._since = -math.inf

    def absorb(self, fact: AnyFact) -> None:
        match fact:
            case ReferenceAnswered():
                self._answered(fact)
            case CanaryRound():
                self._unasked = fact if fact.because else None
            case ReferencesKnown():
                self._adopt(fact)
            case _:
                pass

    def _adopt(self, fact: ReferencesKnown) -> None:
        """Other references than before: what was compared with the old ones says nothing."""
        self._known = fact
        self._newest.clear()

    def _answered(self, fact: ReferenceAnswered) -> None:
        if fact.because or fact.at < self._since:
            return
        before = self._newest.get((fact.rank, fact.reference))
        if before is None or fact.at >= before.at:
            self._newest[fact.rank, fact.reference] = fact

    def reset(self, mark: float) -> None:
        """Nothing answered before ``mark`` counts any more (another incarnation of the engine)."""
        self._since = mark
        self._newest.clear()

    def read(self, name: str, over: float, now: float) -> Reading:
        family, _, stat = name.partition(".")
        reason = self._unusable(family)
        answers = () if reason is not None else self._newest.values()
        every = [answer for answer in answers if now - over <= answer.at <= now]
        fresh, scores = self._worst(family, every)
        if stat == "excess":
            scores = _excess(fresh)
        if reason is None and len(scores) < self._least(family):
            reason = self._too_few(family, len(fresh), len(scores), over, now)
        if reason is not None:
            return Reading(name=name, over=over, at=now, value=None, reason=reason, samples=len(scores))
        detail = self._detail(fresh)
        if stat == "floor":
            return Reading(name=name, over=over, at=now, value=min(scores), samples=len(scores), detail=detail)
        value, low, high = self._estimate(family, scores)
        return Reading(
            name=name, over=over, at=now, value=value, low=low, high=high, samples=len(scores), detail=detail
        )

    def _worst(self, family: str, every: list[ReferenceAnswered]) -> tuple[list[ReferenceAnswered], list[float]]:
        """Answers and scores of the rank that is worst off; where none has enough, of the one with most."""
        ranks: dict[int, list[ReferenceAnswered]] = {}
        for answer in every:
            ranks.setdefault(answer.rank, []).append(answer)
        found = [(answers, _scores(family, answers)) for answers in ranks.values()]
        enough = [rank for rank in found if len(rank[1]) >= self._least(family)]
        if not enough:
            return max(found, key=lambda rank: len(rank[1]), default=([], []))
        sign = -1 if family in WORSE_ABOVE else 1
        return min(enough, key=lambda rank: sign * sum(rank[1]) / len(rank[1]))

    def _least(self, family: str) -> int:
        """Scores below which a reading says nothing."""
        return FEWEST_CHECKS if family == "cache_agreement" else self._needed()

    def _needed(self) -> int:
        return min(self._minimum, self._known.usable) if self._known else self._minimum

    def _unusable(self, family: str) -> Reason | None:
        if self._known is None:
            return NOBODY_KNOWS
        if not self._known.usable:
            return Reason(self._known.kind, self._known.because, PART)
        if family == "similarity" and self._known.encoder_because:
            return Reason(ReasonKind.NOT_CONFIGURED, self._known.encoder_because, "encoder")
        return None

    def _too_few(self, family: str, fresh: int, scored: int, over: float, now: float) -> Reason:
        if fresh >= self._needed() and family == "logprob_shift":
            text = "the engine gives no prompt_logprobs: answers are compared by their words alone"
            return Reason(ReasonKind.NOT_CONFIGURED, text, PART)
        if fresh >= self._needed() and family == "similarity":
            return Reason(ReasonKind.UNREADABLE, "the encoder made no vectors for these answers", "encoder")
        if fresh >= self._needed() and family == "cache_agreement":
            text = f"too few references were asked through the prefix cache: {scored} of {FEWEST_CHECKS}"
            return Reason(ReasonKind.TOO_FEW, text, PART)
        if self._unasked is not None and now - self._unasked.at <= over:
            return Reason(self._unasked.kind, self._unasked.because, PART)
        text = f"too few references answered in the window: {scored} of {self._needed()}"
        return Reason(ReasonKind.TOO_FEW, text, PART)

    def _estimate(self, family: str, scores: list[float]) -> tuple[float, float, float]:
        count = len(scores)
        mean = sum(scores) / count
        if family == "malformed_output":
            faulty = share(round(sum(scores)), count)
            assert faulty is not None  # count is above 0
            return faulty.value, faulty.low, faulty.high
        variance = sum((score - mean) ** 2 for score in scores) / max(1, count - 1)
        margin = _Z95 * math.sqrt(variance / count)
        least, most = _RANGES[family]
        return mean, max(least, mean - margin), min(most, mean + margin)

    def _detail(self, fresh: list[ReferenceAnswered]) -> str:
        """What most of the answers point at, in words; "" while nothing changed, or too few of them agree."""
        causes = Counter(answer.cause for answer in fresh if answer.cause)
        if not causes:
            return ""
        cause, count = causes.most_common(1)[0]
        asked = sum(answer.cache_agreement is not None for answer in fresh) if cause == "kv_cache" else len(fresh)
        if count < (FEWEST_MOVED if cause in ("weights", "numerics") else MOST * asked):
            return ""
        where = f", data-parallel rank {fresh[0].rank}" if fresh[0].rank >= 0 else ""
        return f"{CAUSES.get(cause, cause)} ({count} of {asked} references{where})"


def _excess(answers: list[ReferenceAnswered]) -> list[float]:
    """Shifts as multiples of what all of them together may move: a quiet reference must not outweigh the others."""
    known = [
        (answer.logprob_shift, answer.logprob_allowed)
        for answer in answers
        if answer.logprob_shift is not None and answer.logprob_allowed and math.isfinite(answer.logprob_shift)
    ]
    allowed = sum(limit for _, limit in known) / len(known) if known else 1.0
    return [shift / allowed for shift, _ in known]
