"""What a capture collected, made into references: blessed answers, and how alike they are among themselves.

How far the engine's own healthy answers lie apart is measured here, once; every later round is judged by it.
"""

from __future__ import annotations

from collections.abc import Sequence

from watchtower.canaries.capture import Collected
from watchtower.ports import Encoder
from watchtower.scoring.measures import calibration, logprobs
from watchtower.vocabulary.references import Blessed, EngineAnswer, Normal, Reference, ReferenceKey, ReferenceSet


async def calibrate(
    collected: Sequence[Collected], encoder: Encoder, *, id: str, key: ReferenceKey, engine: str, wall: float
) -> tuple[ReferenceSet, str]:
    """A capture's answers as a set of references, and why it holds no embeddings ("" when it does)."""
    said = [[heard.text for heard in question.answers] for question in collected]
    made = await encoder.embed([text for answers in said for text in answers])
    vectors = iter(made.vectors or [])
    blessed = [
        [_blessed(heard, next(vectors, None) if made.vectors else None) for heard in question.answers]
        for question in collected
    ]
    agreements = calibration.calibrate(
        {question.prompt.id: calibration.agreements(said[n]) for n, question in enumerate(collected)}
    )
    vectors_of = {
        question.prompt.id: [answer.vector or [] for answer in blessed[n]] for n, question in enumerate(collected)
    }
    similar = calibration.calibrate(
        {id: calibration.similarities(vectors) for id, vectors in vectors_of.items() if all(map(any, vectors))}
    )
    references = [
        _reference(question, blessed[n], agreements[question.prompt.id], similar.get(question.prompt.id))
        for n, question in enumerate(collected)
    ]
    made_set = ReferenceSet(
        id=id,
        key=key,
        encoder=made.encoder if made.vectors else "",
        engine=engine,
        captured_wall=wall,
        repeats=len(collected[0].answers),
        references=references,
    )
    return made_set, "" if made.vectors else made.because


def noise(reference: Reference) -> float | None:
    """How far the log-probabilities moved between repetitions, nats per token; None without any."""
    found = logprobs.shift(reference.logprobs[0], reference.logprobs) if reference.logprobs else None
    return found.noise if found else None


def _blessed(heard: EngineAnswer, vector: list[float] | None) -> Blessed:
    return Blessed(text=heard.text, finish_reason=heard.finish_reason, vector=vector)


def _reference(
    question: Collected,
    blessed: list[Blessed],
    agreement: calibration.Distribution,
    similarity: calibration.Distribution | None,
) -> Reference:
    first = question.answers[0]
    return Reference(
        prompt=question.prompt,
        answers=blessed,
        prompt_token_ids=first.prompt_token_ids,
        answer_token_ids=first.token_ids,
        logprobs=question.logprobs,
        agreement=_normal(agreement),
        similarity=None if similarity is None else _normal(similarity),
    )


def _normal(found: calibration.Distribution) -> Normal:
    return Normal(found.mean, found.sd)
