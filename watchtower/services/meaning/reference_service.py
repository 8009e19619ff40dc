"""The service behind ``watchtower references``: which references are in force, and the rounds that ask them again.

References under another key are told as a reason, never used. A capture under way holds rounds back, because both ask
the same engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from watchtower.canaries.asking import Ask, Asking
from watchtower.canaries.demand import Demand
from watchtower.canaries.prompts import load_prompts
from watchtower.canaries.rounds import Rounds
from watchtower.ports import Clock, Encoder
from watchtower.services.meaning.answer_judge import AnswerJudge
from watchtower.services.meaning.archive import OFF, Archive
from watchtower.services.meaning.calibrating import noise
from watchtower.services.meaning.capturing import Captures
from watchtower.services.meaning.circumstances import Circumstances
from watchtower.settings import Settings
from watchtower.storage.reference_sets import ReferenceStore, imported
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import Refused, StorageFault
from watchtower.vocabulary.facts import AnyFact, ReferencesKnown
from watchtower.vocabulary.reasons import ReasonKind
from watchtower.vocabulary.references import Reference, ReferenceKey, ReferenceSet, digest

log = structlog.get_logger("watchtower.references")

CAPTURE = "run 'watchtower references capture' while the engine is healthy"
NONE = f"no references exist: {CAPTURE}"


class ReferenceService:
    """``start()`` it once; ``wish`` is for whoever raises the canary rate."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock,
        ask: Ask,
        encoder: Encoder,
        need_encoder: Callable[[], None],
        store: ReferenceStore | None,
        circumstances: Circumstances,
        tasks: TaskGroup,
        on_fact: Callable[[AnyFact], None],
        on_adopted: Callable[[ReferenceSet | None], None] = lambda references: None,
        archive: Archive | None = None,
    ) -> None:
        """``need_encoder`` is called when vectors are wanted for the first time. ``on_adopted`` is told which set is in
        force. ``store`` None: there is no state
        directory, so nothing can be remembered. Raises BadInput for questions that cannot be read."""
        knobs = settings.references
        self._settings = settings
        self._clock = clock
        self._need_encoder = need_encoder
        self._store = store
        self._tasks = tasks
        self._on_fact = on_fact
        self._on_adopted = on_adopted
        self._archive = archive
        self._prompts = load_prompts(knobs.prompts)
        asking = Asking(knobs, ask)
        self._blessed: ReferenceSet | None = None
        self._because = NONE
        """Why none is in force; "" while one is."""
        self.demand = Demand(clock.now().boot, knobs.concurrency)
        self._captures = Captures(
            knobs,
            clock=clock,
            asking=asking,
            encoder=encoder,
            need_encoder=need_encoder,
            busy=lambda: self.demand.saturated(clock.now().boot),
            circumstances=circumstances,
            tasks=tasks,
            key=self.key,
            bless=self._bless,
        )
        self.rounds = Rounds(
            knobs,
            clock=clock,
            asking=asking,
            judge=AnswerJudge(encoder, clock, min(knobs.minimum_answers, len(self._prompts))),
            demand=self.demand,
            blessed=lambda: None if self._captures.running else self._blessed,
            on_fact=on_fact,
            ranks=settings.engine.data_parallel_size,
        )

    def start(self) -> None:
        self._adopt()
        self._tasks.start("references", self.rounds.run)

    def wish(self, why: str) -> None:
        self.rounds.wish(why)

    def regular(self) -> None:
        self.rounds.wish("regular", regular=True)

    def counts(self) -> dict[str, Any]:
        """id and usable of the references in force; rounds and answers by result, tokens: what rounds cost so far."""
        rounds = self.rounds
        return {
            "id": self._blessed.id if self._blessed else "",
            "usable": self._usable,
            "rounds": dict(rounds.results),
            "answers": dict(rounds.answers),
            "tokens": rounds.tokens,
        }

    def key(self) -> ReferenceKey:
        """Of today's configuration."""
        knobs = self._settings.references
        return ReferenceKey(
            model=self._settings.engine.model,
            checkpoint=self._settings.engine.checkpoint,
            template=knobs.template,
            sampling=f"greedy, {knobs.max_tokens} tokens",
            prompts=digest(self._prompts),
        )

    @property
    def _usable(self) -> int:
        return len(self._blessed.references) if self._blessed else 0

    # ── which are in force ──────────────────────────────────────────────────────────────────────

    def _adopt(self) -> None:
        """Use what is blessed under today's key from now on, and say so."""
        because, kind = "", ReasonKind.NOT_CONFIGURED
        try:
            stored = self._store.all() if self._store else []
            live = [found.references for found in stored if not found.retired]
            self._blessed = next((references for references in live if references.key == self.key()), None)
            if self._blessed is None:
                other = live[0].key.differences(self.key()) if live else ""
                because = f"the references are for another key ({other}): {CAPTURE}" if live else NONE
                kind = ReasonKind.LEARNING if live else ReasonKind.NOT_CONFIGURED
        except StorageFault as fault:
            self._blessed, because, kind = None, str(fault), ReasonKind.UNREADABLE
        self._because = because
        if self._blessed is not None and self._blessed.encoder:
            self._need_encoder()
        usable = self._usable
        without = "" if self._blessed is None or self._blessed.encoder else self._no_vectors()
        self._on_fact(
            ReferencesKnown(
                at=self._clock.now().boot, usable=usable, because=because, kind=kind, encoder_because=without
            )
        )
        self._on_adopted(self._blessed)
        log.info("references", usable=usable, because=because)

    def _bless(self, references: ReferenceSet) -> None:
        """Raises Refused, StorageFault."""
        self._need_store().bless(references)
        self._adopt()

    def _no_vectors(self) -> str:
        why = self._captures.progress.similarity_because or "no encoder was there when the references were captured"
        return f"{why}; then capture again"

    # ── what people ask for ─────────────────────────────────────────────────────────────────────

    def list(self) -> dict[str, Any]:
        """Raises StorageFault."""
        stored = self._need_store().all()
        return {
            "key": msgspec.to_builtins(self.key()),
            "in_force": self._blessed.id if self._blessed else "",
            "because": self._because,
            "capture": self._captures.progress.as_json(),
            "sets": [{**_summary(found.references), "retired": found.retired} for found in stored],
        }

    def show(self, id: str) -> dict[str, Any]:
        """Numbers of every reference of one set. Raises Refused, StorageFault."""
        references = self._find(id)
        return {**_summary(references), "references": [_numbers(reference) for reference in references.references]}

    def export(self, id: str) -> bytes:
        """The whole set, to be imported elsewhere. Raises Refused, StorageFault."""
        return msgspec.json.encode(self._find(id))

    def import_set(self, document: bytes, name: str) -> dict[str, Any]:
        """Bless an exported set. Raises BadInput, Refused, StorageFault."""
        references = imported(document, name)
        if references.key != self.key():
            raise Refused(f"the set is for another key: {references.key.differences(self.key())}")
        self._bless(references)
        return _summary(references)

    def retire(self, id: str) -> dict[str, Any]:
        """Raises Refused, StorageFault."""
        found = self._find(id)
        self._need_store().retire(found.id)
        self._adopt()
        return _summary(found)

    def capture(self, repeats: int = 0, *, meant: bool = False) -> dict[str, Any]:
        """Begin one in the background; ``list()["capture"]`` tells how far it is. Raises Refused."""
        self._need_store()
        return self._captures.begin(self._prompts, repeats, meant=meant).as_json()

    def pick(self, count: int) -> dict[str, Any]:
        """Kept questions of users that cover what is asked, as text. Raises Refused, StorageFault."""
        if self._archive is None:
            raise Refused(OFF)
        return self._archive.pick(count)

    def _find(self, id: str) -> ReferenceSet:
        stored = [found.references for found in self._need_store().all()]
        found = next((known for known in stored if known.id == id or (not id and known == self._blessed)), None)
        if found is None:
            ids = ", ".join(known.id for known in stored[:5]) or "none yet"
            raise Refused(f"no reference set {id or 'is in force'}; there are: {ids}")
        return found

    def _need_store(self) -> ReferenceStore:
        if self._store is None:
            raise Refused("the state directory is unusable: references have nowhere to live")
        return self._store


def _summary(references: ReferenceSet) -> dict[str, Any]:
    forced = sum(bool(reference.logprobs) for reference in references.references)
    return {
        "id": references.id,
        "key": msgspec.to_builtins(references.key),
        "engine": references.engine,
        "encoder": references.encoder,
        "captured_wall": references.captured_wall,
        "repeats": references.repeats,
        "size": len(references.references),
        "with_logprobs": forced,
        "with_vectors": sum(reference.similarity is not None for reference in references.references),
    }


def _numbers(reference: Reference) -> dict[str, Any]:
    return {
        "id": reference.prompt.id,
        "answers": len(reference.answers),
        "tokens": len(reference.answer_token_ids),
        "agreement": msgspec.to_builtins(reference.agreement),
        "similarity": msgspec.to_builtins(reference.similarity),
        "noise_nats": noise(reference),
    }
