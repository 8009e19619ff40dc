"""Answers beside their blessed ones: scores from ``scoring``, and what a whole round of them means.

The trigger is always the round, never one answer: greedy answers of a busy engine differ now and then, and one of six
healthy cosines lies under 0.92. Log-probabilities decide first, because they say what changed; the cache and the
template are looked at only where the weights are in order; words decide where there are no log-probabilities.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from watchtower.canaries.asking import Replies
from watchtower.canaries.rounds import Judged
from watchtower.ports import Clock, Encoder
from watchtower.scoring.measures import agreement, calibration, logprobs, texts
from watchtower.scoring.measures.alignment import LIMITED, aligned
from watchtower.vocabulary.facts import LiveAnswered, ReferenceAnswered
from watchtower.vocabulary.references import Reference, ReferenceSet
from watchtower.vocabulary.samples import ExchangeSampled

MOST = 0.5
"""Share of a round's answers from which they speak for the engine."""
APART = 0.5
"""A cached answer that agrees with the fresh one in less of its first words was computed from something else."""
AGREEMENT_DROP = 0.25
"""Mean fall of the prefix agreement, beyond three standard errors, that counts as a change."""


@dataclass(frozen=True, slots=True)
class AnswerEvidence:
    """What a round is judged by, of one answer."""

    shift: logprobs.Shift | None
    agreement_change: float
    agreement_sd: float
    cause: str
    cache_checked: bool
    faulty: bool


class AnswerJudge:
    """``canaries.rounds.Judge`` over the pure scores and an encoder."""

    def __init__(self, encoder: Encoder, clock: Clock, minimum_answers: int) -> None:
        self._encoder = encoder
        self._clock = clock
        self._minimum = minimum_answers

    async def answer(self, references: ReferenceSet, reference: Reference, replies: Replies, round: int) -> Judged:
        said = replies.fresh
        blessed = [answer.text for answer in reference.answers]
        agreed = agreement.prefix_agreement(said.text, blessed)
        shift = logprobs.shift(replies.forced.logprobs, reference.logprobs) if replies.forced else None
        completions = [texts.Completion(answer.text, answer.finish_reason) for answer in reference.answers]
        faults = texts.faults(texts.Completion(said.text, said.finish_reason), completions, reference.prompt.text)
        cached = _cache_agreement(reference, replies)
        cause = _cause(reference, replies, shift, cached)
        similarity = await self._similarity(references, reference, said.text)
        centred = None if similarity is None or reference.similarity is None else similarity - reference.similarity.mean
        fact = ReferenceAnswered(
            at=self._clock.now().boot,
            round=round,
            reference=reference.prompt.id,
            logprob_shift=shift.nats if shift else None,
            logprob_allowed=shift.allowed if shift else None,
            prefix_agreement=agreed,
            cache_agreement=cached,
            similarity=similarity,
            centred=centred,
            faults=faults,
            cause=cause,
        )
        normal = reference.agreement
        return Judged(
            fact, AnswerEvidence(shift, agreed - normal.mean, normal.sd, cause, cached is not None, bool(faults))
        )

    async def live(self, references: ReferenceSet, reference: Reference, sample: ExchangeSampled) -> LiveAnswered:
        """A user's answer to a reference's question. Cut where canaries' answers are, so that lengths do not count;
        one that its own limit stopped earlier is compared by its words alone."""
        blessed = [texts.Completion(answer.text, answer.finish_reason) for answer in reference.answers]
        said = texts.Completion(sample.answer, LIMITED if sample.cut else sample.finish_reason)
        text, others = aligned(said, blessed)
        shortest = min(len(answer.text.split()) for answer in reference.answers)
        whole = said.finish_reason != LIMITED or len(text.split()) >= shortest - 1
        similarity = await self._similarity(references, reference, text, live=True) if whole else None
        normal = reference.similarity
        return LiveAnswered(
            at=sample.at,
            reference=reference.prompt.id,
            prefix_agreement=agreement.prefix_agreement(text, others),
            similarity=similarity,
            centred=None if similarity is None or normal is None else similarity - normal.mean,
            faults=[] if sample.cut else texts.faults(texts.Completion(text), blessed, reference.prompt.text),
        )

    def round(self, judged: Sequence[Judged]) -> tuple[bool | None, str]:
        evidence = [found.evidence for found in judged if isinstance(found.evidence, AnswerEvidence)]
        if len(evidence) < self._minimum:
            return None, ""
        pooled = logprobs.pool([answer.shift for answer in evidence if answer.shift is not None])
        weights = logprobs.cause(fresh=pooled)
        if weights is not None:
            return False, weights.value
        causes = Counter(answer.cause for answer in evidence if answer.cause in ("kv_cache", "template"))
        if causes["template"] >= MOST * len(evidence):
            return False, "template"
        if causes["kv_cache"] >= max(2.0, MOST * sum(answer.cache_checked for answer in evidence)):
            return False, "kv_cache"
        if sum(answer.faulty for answer in evidence) >= MOST * len(evidence) or _disagree(evidence):
            return False, ""
        return True, ""

    async def _similarity(
        self, references: ReferenceSet, reference: Reference, text: str, *, live: bool = False
    ) -> float | None:
        vectors = [answer.vector for answer in reference.answers if answer.vector and any(answer.vector)]
        if not vectors:
            return None
        made = await self._encoder.embed([text], live=live)
        if not made.vectors or made.encoder != references.encoder or not any(made.vectors[0]):
            return None  # an answer without words may have a vector without direction: nothing to compare
        return calibration.closest(made.vectors[0], vectors)


def _cache_agreement(reference: Reference, replies: Replies) -> float | None:
    """First words that the answer from the cache has in common with the fresh one or a blessed one."""
    if replies.cached is None or replies.cached.because:
        return None
    others = [replies.fresh.text, *(answer.text for answer in reference.answers)]
    return agreement.prefix_agreement(replies.cached.text, others)


def _cause(reference: Reference, replies: Replies, shift: logprobs.Shift | None, cached: float | None) -> str:
    """What this one answer points at."""
    if shift is not None and shift.moved:
        return "weights" if shift.by_a_lot else "numerics"
    now = replies.fresh.prompt_token_ids
    if now and reference.prompt_token_ids and now != reference.prompt_token_ids:
        return "template"
    return "kv_cache" if cached is not None and cached < APART else ""


def _disagree(evidence: Sequence[AnswerEvidence]) -> bool:
    """Whether the words fell away from the blessed ones by more than chance."""
    count = len(evidence)
    change = sum(answer.agreement_change for answer in evidence) / count
    error = sum(answer.agreement_sd**2 for answer in evidence) ** 0.5 / count
    return bool(change < -max(AGREEMENT_DROP, 3 * error))
