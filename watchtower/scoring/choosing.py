"""Which encoder the configuration asks for; all have ``embed``, ``run`` and ``close``."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from watchtower.ports import Clock
from watchtower.scoring.embeddings_server import EmbeddingsServer
from watchtower.scoring.messages import ScorerPlan
from watchtower.scoring.scorer_child import ScorerChild
from watchtower.settings import EncoderKind, ScoringSettings
from watchtower.vocabulary.embeddings import Embedding


class NoEncoder:
    """Similarity is UNKNOWN on purpose; prefix agreement, log-probabilities and text checks carry on."""

    async def embed(self, texts: Sequence[str], *, live: bool = False) -> Embedding:
        return Embedding(None, "scoring.encoder is 'none'")

    async def run(self) -> None:
        """Nothing to keep alive."""

    async def close(self) -> None:
        """Nothing to end."""


def chosen(settings: ScoringSettings, clock: Clock) -> ScorerChild | EmbeddingsServer | NoEncoder:
    """Not started: ``run`` it in a task of its own."""
    if settings.encoder is EncoderKind.NONE:
        return NoEncoder()
    if settings.encoder is EncoderKind.SERVER:
        key = settings.api_key.get_secret_value() if settings.api_key is not None else ""
        return EmbeddingsServer(settings.url, settings.model, api_key=key, timeout_seconds=settings.deadline_seconds)
    return local(settings, clock)


def local(settings: ScoringSettings, clock: Clock) -> ScorerChild:
    """The scorer child, with its share of the cores that this process may use."""
    cores = settings.cpu_ratio * len(os.sched_getaffinity(0))
    plan = ScorerPlan(
        model=settings.model, sha256=settings.sha256, backend=settings.backend, threads=max(1, math.floor(cores))
    )
    return ScorerChild(
        plan, clock, cores=cores, deadline_seconds=settings.deadline_seconds, memory_bytes=settings.memory_bytes
    )
