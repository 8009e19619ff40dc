"""Text of samples, for somebody who asked to keep it: credentials out first, then the disk, then forgotten in time.

A text whose redaction fails is not kept. Turned off, nothing of it stays: what an earlier run kept is overwritten.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from watchtower.detectors.coverage import spread
from watchtower.ports import Clock
from watchtower.scoring.measures.wording import worded
from watchtower.scoring.redaction import INSTALL, Redactor, redactor
from watchtower.settings import KeepSettings
from watchtower.storage.retained import Retained, RetainedStore
from watchtower.vocabulary.errors import BadInput, Problem, Refused, StorageFault
from watchtower.vocabulary.samples import ExchangeSampled

log = structlog.get_logger("watchtower.archive")

OFF = "no text is kept: set samples.keep.text, wait for traffic, then pick"


def open_archive(settings: KeepSettings, directory: Path, clock: Clock) -> Archive | None:
    """None where nothing is to be kept; then what was kept before is forgotten. Raises BadInput without a redactor."""
    store = RetainedStore(directory)
    if not settings.text:
        try:
            store.forget_all()
        except StorageFault as fault:
            log.error("archive.not_forgotten", because=str(fault))
        return None
    try:
        redacted = redactor()
    except ImportError as problem:
        what = "text would be kept without taking credentials out: detect-secrets is not installed"
        raise BadInput([Problem("configuration", "samples.keep.text", what, INSTALL)]) from problem
    return Archive(settings, store, clock, redacted)


class Archive:
    def __init__(self, settings: KeepSettings, store: RetainedStore, clock: Clock, redacted: Redactor) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._redacted = redacted

    async def keep(self, sample: ExchangeSampled, vector: bytes) -> None:
        """Never raises: losing a sample costs nothing."""
        await asyncio.to_thread(self._keep, sample, vector)

    def _keep(self, sample: ExchangeSampled, vector: bytes) -> None:
        wall = self._clock.now().wall
        try:
            (question, first), (answer, second) = self._redacted(sample.question), self._redacted(sample.answer)
            kept = Retained(
                id=f"{sample.id}@{wall:.0f}",
                wall=wall,
                prompt=sample.prompt,
                alone=sample.alone,
                question=question,
                answer=answer,
                redacted=first + second,
                vector=b"" if first else vector,
            )
            self._store.keep([kept], wall + self._settings.seconds, self._settings.most)
        except Exception as problem:  # its words may quote the text
            log.error("sample not kept", kind=type(problem).__name__)

    def forget(self) -> None:
        """What has ended. Never raises."""
        try:
            self._store.forget(self._clock.now().wall)
        except StorageFault as fault:
            log.error("archive.not_forgotten", because=str(fault))

    def pick(self, count: int) -> dict[str, Any]:
        """Questions of users that cover what is asked, for a person to read: asked alone, nothing redacted, each once.
        Raises Refused, StorageFault."""
        kept = {
            sample.question.strip(): sample for sample in self._store.all(self._clock.now().wall) if _askable(sample)
        }
        if not kept:
            raise Refused("no kept question can be asked again: none was asked alone and without a credential")
        texts = list(kept)
        if all(sample.vector for sample in kept.values()):
            vectors = np.array(
                [np.frombuffer(sample.vector, dtype=np.float16) for sample in kept.values()], dtype=np.float32
            )
        else:
            vectors = worded(texts)
        return {"of": len(texts), "prompts": [texts[index] for index in spread(vectors, count)]}


def _askable(sample: Retained) -> bool:
    return sample.alone and not sample.redacted and bool(sample.question.strip())
