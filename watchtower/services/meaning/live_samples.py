"""The service behind ``watchtower drift``: samples of live answers become numbers, and numbers a diagnosis.

A sample's text waits in a bounded memory, is turned into vectors and scores, and is forgotten. What stays are
embeddings and keyed hashes: the first ones after a capture are *then*, the newest are *now*. Without an encoder the
vectors are of wording; these could be read backwards word by word, so they are never written down.
Nothing here raises an alarm: live answers are unpaired, and only paired canaries may trigger.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from watchtower.detectors.shift import Answers, OutputShift, shift
from watchtower.ports import Clock, Encoder
from watchtower.scoring.measures.wording import formed, worded
from watchtower.services.meaning.answer_judge import AnswerJudge
from watchtower.services.meaning.archive import Archive
from watchtower.services.meaning.circumstances import Circumstances
from watchtower.settings import SampleSettings
from watchtower.storage.baseline_file import BaselineFile
from watchtower.vocabulary.facts import LiveAnswered
from watchtower.vocabulary.references import ReferenceSet
from watchtower.vocabulary.samples import ExchangeSampled, SampleOrder, prompt_hash

log = structlog.get_logger("watchtower.samples")

NO_REFERENCES = "nothing is sampled before references exist: run 'watchtower references capture'"
OFF = "sampling is off (samples.ratio is 0)"
WORDING = "wording"
"""The encoder's name where there is none."""
EMPTY_ENDINGS = ("stop", "length", "")
"""An answer without text that ended so is empty; any other (a tool call) is no text at all."""


class SampleVectors(msgspec.Struct, frozen=True):
    """What stays of one sample."""

    prompt: str
    """Keyed hash, or a reference's id."""
    asked: bytes
    """Embedding of the question, float16."""
    said: bytes
    """Of the answer."""
    form: list[float]
    """Of the answer: logarithms of words and lines, share of markup."""
    wall: float


class SampleBaseline(msgspec.Struct):
    """What now is compared with, as stored."""

    references: str
    """Id of the set in force."""
    encoder: str
    key: bytes
    """Of the prompts' hashes."""
    samples: list[SampleVectors] = []


class Samples:
    """``take`` what relay workers send; ``run`` turns it into scores and the comparison."""

    def __init__(
        self,
        settings: SampleSettings,
        *,
        clock: Clock,
        encoder: Encoder,
        judge: AnswerJudge,
        circumstances: Circumstances,
        order: Callable[[SampleOrder], None],
        on_fact: Callable[[LiveAnswered], None],
        file: BaselineFile | None,
        fresh_key: Callable[[], bytes],
        plain: bool,
        archive: Archive | None = None,
    ) -> None:
        """``order`` tells the relay workers; ``file`` None: nothing is remembered over a restart; ``archive`` keeps
        text, where somebody asked for that."""
        self._settings = settings
        self._clock = clock
        self._encoder = encoder
        self._judge = judge
        self._circumstances = circumstances
        self._order = order
        self._on_fact = on_fact
        self._file = file
        self._fresh_key = fresh_key
        self._plain = plain
        self._archive = archive
        self._references: ReferenceSet | None = None
        self._waiting: deque[ExchangeSampled] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._then = SampleBaseline("", "", b"")
        self._now: deque[SampleVectors] = deque(maxlen=settings.now)
        self._changed = False
        self._shift: OutputShift | None = None
        self.diagnosis: dict[str, Any] = {}
        """The JSON of ``/api/v1/drift``: how far live answers have moved, and which prompts most. Names, never text.
        Replaced as a whole at each comparison and with each set of references."""
        self.counts = dict.fromkeys(("compared", "kept", "dropped", "unscored"), 0)

    # ── which references ────────────────────────────────────────────────────────────────────────

    def adopt(self, references: ReferenceSet | None) -> None:
        """These are in force from now on: others begin another *then*."""
        self._references = references
        name = references.id if references else ""
        if name != self._then.references or references is None:
            encoder = (references.encoder or WORDING) if references else ""
            self._then = self._stored(name, encoder) or SampleBaseline(name, encoder, self._fresh_key())
            self._now.clear()
            self._shift = None
        self._order(self._ordered())
        self.diagnosis = self._diagnosed()

    def _stored(self, references: str, encoder: str) -> SampleBaseline | None:
        content = self._file.read() if self._file and references else None
        if content is None:
            return None
        try:
            found = msgspec.msgpack.decode(content, type=SampleBaseline)
        except msgspec.MsgspecError:
            log.warning("samples.unreadable", cure="they are learned again")
            return None
        return found if (found.references, found.encoder) == (references, encoder) else None

    def _ordered(self) -> SampleOrder:
        references, knobs = self._references, self._settings
        if references is None:
            return SampleOrder(ratio=0)
        prompts = [reference.prompt for reference in references.references] if knobs.references else []
        asked = {prompt.id: prompt.text.encode() for prompt in prompts}
        return SampleOrder(
            ratio=knobs.ratio,
            questions={prompt_hash(text, self._then.key): id for id, text in asked.items()},
            plain=self._plain,
            longest_question=max((2 * len(text) for text in asked.values()), default=0),
            text_characters=knobs.text_characters,
            key=self._then.key,
        )

    # ── from the relay ──────────────────────────────────────────────────────────────────────────

    def take(self, sample: ExchangeSampled) -> None:
        """Never waits: what does not fit pushes the oldest out."""
        if self._references is None or (not sample.answer and sample.finish_reason not in EMPTY_ENDINGS):
            return
        self._waiting.append(sample)
        self._bytes += sample.size
        while self._bytes > self._settings.memory_bytes:
            self._bytes -= self._waiting.popleft().size
            self.counts["dropped"] += 1
        self._arrived.set()

    async def run(self) -> None:
        """Until cancelled."""
        compared_at = -1e18
        while True:
            if self._waiting:
                sample = self._waiting.popleft()
                self._bytes -= sample.size
                await self._absorb_safely(sample)
            elif self._changed and self._clock.now().boot - compared_at >= self._settings.every_seconds:
                compared_at = self._clock.now().boot
                await self._compare()
            else:
                self._arrived.clear()
                await self._idle()

    async def _idle(self) -> None:
        try:
            async with asyncio.timeout(1.0):
                await self._arrived.wait()
        except TimeoutError:
            pass

    async def _absorb_safely(self, sample: ExchangeSampled) -> None:
        """An exception may quote what it was about, so of any only its kind is told."""
        try:
            await self._absorb(sample)
        except Exception as problem:
            self.counts["unscored"] += 1
            log.error("sample not scored", kind=type(problem).__name__)

    async def _absorb(self, sample: ExchangeSampled) -> None:
        references = self._references
        if references is None:
            return
        reference = next((found for found in references.references if found.prompt.id == sample.reference), None)
        if reference is not None:
            self._on_fact(await self._judge.live(references, reference, sample))
            self.counts["compared"] += 1
        if sample.chosen:
            await self._keep(sample)

    async def _keep(self, sample: ExchangeSampled) -> None:
        then = self._then
        pair = await self._vectors([sample.question, sample.answer])
        if pair is None or then is not self._then:
            self.counts["unscored"] += 1
            return
        if self._archive is not None:
            vector = b"" if then.encoder == WORDING else np.array(pair[0], dtype=np.float16).tobytes()
            await self._archive.keep(sample, vector)
        form = [float(number) for number in formed([sample.answer])[0]]
        asked, said = (np.array(row, dtype=np.float16).tobytes() for row in pair)
        vectors = SampleVectors(sample.reference or sample.prompt, asked, said, form, self._clock.now().wall)
        self.counts["kept"] += 1
        self._changed = True
        if len(then.samples) < self._settings.then:
            if not self._circumstances.anything_wrong():
                then.samples.append(vectors)
                if len(then.samples) == self._settings.then:
                    self.save()
        else:
            self._now.append(vectors)

    async def _vectors(self, texts: list[str]) -> list[list[float]] | None:
        if self._then.encoder == WORDING:
            return [[float(number) for number in row] for row in worded(texts)]
        made = await self._encoder.embed(texts, live=True)
        return made.vectors if made.vectors and made.encoder == self._then.encoder else None

    # ── then and now ────────────────────────────────────────────────────────────────────────────

    async def _compare(self) -> None:
        self._changed = False
        if not self._because():
            then, now = _answers(self._then.samples), _answers(self._now)
            chance = np.random.default_rng(len(self._then.samples))
            self._shift = await asyncio.to_thread(shift, then, now, chance)
        self.diagnosis = self._diagnosed()

    def _because(self) -> str:
        """Why nothing can be said yet."""
        knobs, then, now = self._settings, len(self._then.samples), len(self._now)
        if self._references is None:
            return NO_REFERENCES
        if not knobs.ratio:
            return OFF
        if then < knobs.then:
            return f"still learning what answers are like: {then} of {knobs.then} samples"
        if now < knobs.minimum:
            return f"too few new samples: {now} of {knobs.minimum}"
        return ""

    def _diagnosed(self) -> dict[str, Any]:
        because, found = self._because(), self._shift
        if not because and found is None:
            because = "today's prompts are not like those of then: no group has enough of both"
        return {
            "because": because,
            "references": self._then.references,
            "encoder": self._then.encoder,
            "then": len(self._then.samples),
            "now": len(self._now),
            "ratio": self._settings.ratio,
            "shift": msgspec.to_builtins(found) if found and not because else None,
        }

    def save(self) -> None:
        """Write *then* down, if it is of meanings."""
        if self._file is not None and self._then.references and self._then.encoder != WORDING:
            self._file.write(msgspec.msgpack.encode(self._then))

    def counted(self) -> dict[str, Any]:
        """Samples by what became of them, and bytes that wait."""
        return {"counts": dict(self.counts), "waiting_bytes": self._bytes}


def _answers(samples: list[SampleVectors] | deque[SampleVectors]) -> Answers:
    def rows(of: Callable[[SampleVectors], bytes]) -> NDArray[np.float32]:
        return np.array([np.frombuffer(of(sample), dtype=np.float16) for sample in samples], dtype=np.float32)

    form = np.array([sample.form for sample in samples], dtype=np.float32)
    blocks = {"meaning": rows(lambda sample: sample.said), "form": form}
    return Answers([sample.prompt for sample in samples], rows(lambda sample: sample.asked), blocks)
