"""The verdict: same, different or too little data, with its effect, its confidence and what moved most.

``different``: the exact paired test is below ``alpha``. ``same``: it is far from that (``SILENT_P``) *and* the whole
band of every effect that has a tolerance lies inside it. Anything between is ``too_little_data``: absence of evidence
never lets a checkpoint pass as the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from watchtower.detectors.paired import Difference, PairedMeasure, compare
from watchtower.scoring.measures.agreement import prefix_agreement
from watchtower.scoring.measures.texts import Completion, faults
from watchtower.scoring.measures.wording import markup, worded
from watchtower.services.comparing.answer_files import FileAnswer

LEAST_PROMPTS = 20
SILENT_P = 0.1
"""Between ``alpha`` and this something may be going on."""
TOLERANCES: dict[str, float] = {"meaning": 0.03, "wording": 0.03, "length": 0.10, "faults": 0.03, "distance": 0.02}
"""Largest effect that still counts as the same. Meaning and wording: a common shift, as a share of the usual distance
of two paired answers (two API versions of one model: 5–8 %; two servers of one checkpoint: 0–2 %). Length: ratio of
words. Faults: share of prompts. Distance: cosine lost beyond what a second run of the baseline loses."""
MOVED = 15


class Sameness(StrEnum):
    SAME = "same"
    DIFFERENT = "different"
    TOO_LITTLE_DATA = "too_little_data"


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """One measure, for people and scripts; candidate against baseline."""

    name: str
    value: float
    low: float
    high: float
    p: float
    tolerance: float | None
    """Largest that counts as the same; None: shown, tested, without a tolerance of its own."""

    @property
    def inside(self) -> bool:
        """Whether the whole band lies inside the tolerance."""
        return self.tolerance is None or max(abs(self.low), abs(self.high)) <= self.tolerance


class PerPrompt(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    closeness: float
    """Cosine of the two answers: of their meanings with an encoder, else of their wordings."""
    agreement: float
    baseline_words: int
    candidate_words: int
    faults: list[str]
    """Checks that the candidate fails and the baseline does not."""
    nats: float | None = None
    """Of live engines: how far apart the two find the baseline's answer, per token."""


class Likelihood(msgspec.Struct, frozen=True, kw_only=True):
    """How far apart two live engines find the baseline's answers. Natural logarithms, per token."""

    nats: float
    """Mean absolute difference."""
    noise: float
    """The same between two readings of the baseline."""
    excess: float
    """``nats`` as a multiple of what the baseline's own noise allows; above 1 the two do not compute the same."""
    low: float
    high: float
    """95 % band of ``excess``, over prompts."""
    tokens: int
    prompts: int


class ComparisonReport(msgspec.Struct, frozen=True, kw_only=True):
    outcome: Sameness
    because: str
    p: float
    """Of the clearest measure, all together; confidence is 1 − p."""
    alpha: float
    prompts: int
    only_baseline: int
    """Prompts without a candidate's answer, left out."""
    only_candidate: int
    identical: int
    encoder: str
    """"" without one; then ``no_encoder`` says why."""
    no_encoder: str
    seed: int
    effects: list[Effect]
    per_prompt: list[PerPrompt]
    """All prompts, what moved most first."""
    cause: str = ""
    """Of live engines that differ: weights, numerics or template, as far as log-probabilities tell."""
    likelihood: Likelihood | None = None
    no_likelihood: str = "files hold no log-probabilities"
    """Why there is none."""


class Vectors(msgspec.Struct, frozen=True):
    """Meanings of the paired answers, a row each; None without an encoder."""

    baseline: NDArray[np.float32]
    candidate: NDArray[np.float32]
    again: NDArray[np.float32] | None = None


def pairs(
    baseline: Mapping[str, FileAnswer], candidate: Mapping[str, FileAnswer]
) -> list[tuple[FileAnswer, FileAnswer]]:
    """What both answered, in the baseline's order."""
    return [(answer, candidate[id]) for id, answer in baseline.items() if id in candidate]


def judge(
    paired: Sequence[tuple[FileAnswer, FileAnswer]],
    *,
    vectors: Vectors | None = None,
    again: Sequence[str] | None = None,
    encoder: str = "",
    no_encoder: str = "",
    only_baseline: int = 0,
    only_candidate: int = 0,
    alpha: float = 0.01,
    seed: int = 0,
    flips: int = 4000,
) -> ComparisonReport:
    """``again``: a second run of the baseline on the same prompts. Deterministic for a seed."""
    baseline, candidate = [before.output for before, _ in paired], [after.output for _, after in paired]
    wordings = (worded(baseline), worded(candidate))
    closeness = _closeness(*wordings) if vectors is None else _closeness(vectors.baseline, vectors.candidate)
    fallen = [_new_faults(after, before) for before, after in paired]
    measures = _measures(paired, wordings, fallen)
    if vectors is not None:
        measures = {"meaning": vectors.candidate - vectors.baseline, **measures}
    if again is not None:
        usual = (
            _closeness(wordings[0], worded(again))
            if vectors is None or vectors.again is None
            else _closeness(vectors.baseline, vectors.again)
        )
        measures["distance"] = (usual - closeness).astype(np.float32)
    found = Difference([], 1.0)
    if len(paired) >= LEAST_PROMPTS:
        found = compare(measures, np.random.default_rng(seed), flips=flips)
    effects = [_effect(measure) for measure in found.measures]
    outcome, because = verdict(len(paired), found.p, alpha, effects)
    return ComparisonReport(
        outcome=outcome,
        because=because,
        p=found.p,
        alpha=alpha,
        prompts=len(paired),
        only_baseline=only_baseline,
        only_candidate=only_candidate,
        identical=sum(before == after for before, after in zip(baseline, candidate, strict=True)),
        encoder=encoder,
        no_encoder=no_encoder,
        seed=seed,
        effects=effects,
        per_prompt=_per_prompt(paired, closeness, fallen),
    )


def _per_prompt(
    paired: Sequence[tuple[FileAnswer, FileAnswer]], closeness: NDArray[np.float32], fallen: Sequence[list[str]]
) -> list[PerPrompt]:
    """What moved most first."""
    prompts = [
        PerPrompt(
            id=before.id,
            closeness=float(close),
            agreement=prefix_agreement(after.output, [before.output]),
            baseline_words=len(before.output.split()),
            candidate_words=len(after.output.split()),
            faults=new,
        )
        for (before, after), close, new in zip(paired, closeness, fallen, strict=True)
    ]
    return sorted(prompts, key=lambda prompt: (not prompt.faults, prompt.closeness))


def _measures(
    paired: Sequence[tuple[FileAnswer, FileAnswer]],
    wordings: tuple[NDArray[np.float32], NDArray[np.float32]],
    fallen: Sequence[list[str]],
) -> dict[str, NDArray[np.float32]]:
    """Candidate less baseline, a row for each prompt, of all that needs nothing but the texts."""
    baseline, candidate = [before.output for before, _ in paired], [after.output for _, after in paired]
    faulty = [bool(new) - bool(_new_faults(before, after)) for (before, after), new in zip(paired, fallen, strict=True)]
    return {
        "wording": wordings[1] - wordings[0],
        "length": _numbers(candidate, _log_words) - _numbers(baseline, _log_words),
        "markup": _numbers(candidate, markup) - _numbers(baseline, markup),
        "faults": np.array(faulty, dtype=np.float32),
    }


def _effect(measure: PairedMeasure) -> Effect:
    return Effect(
        name=measure.name,
        value=measure.effect,
        low=measure.low,
        high=measure.high,
        p=measure.p,
        tolerance=TOLERANCES.get(measure.name),
    )


def verdict(prompts: int, p: float, alpha: float, effects: Sequence[Effect]) -> tuple[Sameness, str]:
    """(what the numbers allow to say, why). ``p``: of the paired test over all measures."""
    if prompts < LEAST_PROMPTS:
        return Sameness.TOO_LITTLE_DATA, f"{prompts} prompts were answered by both; at least {LEAST_PROMPTS} are needed"
    if p < alpha:
        clearest = min(effects, key=lambda effect: (effect.p, -abs(effect.value) / (effect.tolerance or 1)))
        return Sameness.DIFFERENT, f"one side is not a rerun of the other (p {p:.2g}), most clearly in {clearest.name}"
    wide = [effect.name for effect in effects if not effect.inside]
    if p < SILENT_P:
        return Sameness.TOO_LITTLE_DATA, f"a hint of a difference that {prompts} prompts cannot settle (p {p:.2g})"
    if wide:
        return Sameness.TOO_LITTLE_DATA, f"no difference found, but {_list(wide)} may differ by more than tolerated"
    return Sameness.SAME, "no difference found, and none larger than tolerated is compatible with these answers"


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _new_faults(answer: FileAnswer, beside: FileAnswer) -> list[str]:
    return faults(
        Completion(answer.output, answer.finish_reason),
        [Completion(beside.output, beside.finish_reason)],
        answer.prompt or beside.prompt,
    )


def _closeness(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosines of unit rows; two rows without any word are alike."""
    found: NDArray[np.float32] = np.clip((left * right).sum(axis=1), -1.0, 1.0)
    found[~left.any(axis=1) & ~right.any(axis=1)] = 1.0
    return found


def _numbers(texts: Sequence[str], of: Callable[[str], float]) -> NDArray[np.float32]:
    return np.array([of(text) for text in texts], dtype=np.float32)


def _log_words(text: str) -> float:
    """Three more than there are, so that a one-word answer is not infinitely far from none."""
    return math.log(len(text.split()) + 3)
