"""The service behind ``watchtower references``: which references are in force, captures, rounds, and what they cost.

One capture at a time, in the background; a capture under way holds rounds back, because both ask the same engine. A
capture that fails changes nothing. References under another key are told as a reason, never used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog

from watchtower.board import Board
from watchtower.canaries.asking import Ask, Asking
from watchtower.canaries.capture import Capture
from watchtower.canaries.demand import Demand
from watchtower.canaries.prompts import load_prompts
from watchtower.canaries.rounds import Rounds
from watchtower.daemon.judging import AnswerJudge, calibrated, noise
from watchtower.ports import Clock, Encoder
from watchtower.settings import Settings
from watchtower.storage.references import ReferenceStore, imported
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import Refused, StorageFault, WatchtowerError
from watchtower.vocabulary.facts import AnyFact, ReferencesKnown
from watchtower.vocabulary.references import Reference, ReferenceKey, ReferenceSet, digest

log = structlog.get_logger("watchtower.references")

NONE = "no references exist: run 'watchtower references capture' while the engine is healthy"


@dataclass(slots=True)
class Progress:
    """One capture, for whoever waits for it."""

    state: str = "none"
    """none, running, done or failed."""
    because: str = ""
    id: str = ""
    similarity_because: str = ""
    """Why the finished set has no embeddings."""
    capture: Capture | None = None

    def as_json(self) -> dict[str, Any]:
        capture = self.capture
        return {
            "state": self.state,
            "because": self.because,
            "id": self.id,
            "done": capture.done if capture else 0,
            "total": capture.total if capture else 0,
            "tokens": capture.tokens if capture else 0,
            "similarity_because": self.similarity_because,
            "logprobs_because": capture.no_logprobs if capture else "",
        }


class Meaning:
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
        board: Board,
        tasks: TaskGroup,
        on_fact: Callable[[AnyFact], None],
    ) -> None:
        """``need_encoder`` is called when vectors are wanted for the first time. ``store`` None: there is no state
        directory, so nothing can be remembered. Raises BadInput for questions that cannot be read."""
        knobs = settings.references
        self._settings = settings
        self._clock = clock
        self._encoder = encoder
        self._need_encoder = need_encoder
        self._store = store
        self._board = board
        self._tasks = tasks
        self._on_fact = on_fact
        self._prompts = load_prompts(knobs.prompts)
        self._asking = Asking(knobs, ask)
        self._progress = Progress()
        self._blessed: ReferenceSet | None = None
        self._captures = 0
        self.demand = Demand(clock.now().boot, knobs.concurrency)
        self.rounds = Rounds(
            knobs,
            clock=clock,
            asking=self._asking,
            judge=AnswerJudge(encoder, clock, min(knobs.minimum_answers, len(self._prompts))),
            demand=self.demand,
            blessed=lambda: None if self._progress.state == "running" else self._blessed,
            on_fact=on_fact,
        )

    def start(self) -> None:
        self._adopt()
        self._tasks.start("references", self.rounds.run)

    def wish(self, why: str) -> None:
        self.rounds.wish(why)

    def regular(self) -> None:
        self.rounds.wish("regular", regular=True)

    def counts(self) -> dict[str, Any]:
        """For the board."""
        rounds = self.rounds
        return {"rounds": dict(rounds.results), "answers": dict(rounds.answers), "tokens": rounds.tokens}

    def key(self) -> ReferenceKey:
        """Of today's configuration."""
        knobs = self._settings.references
        return ReferenceKey(
            model=self._settings.engine.model,
            template=knobs.template,
            sampling=f"greedy, {knobs.max_tokens} tokens",
            prompts=digest(self._prompts),
        )

    # ── which are in force ──────────────────────────────────────────────────────────────────────

    def _adopt(self) -> None:
        """Use what is blessed under today's key from now on, and say so."""
        because = ""
        try:
            stored = self._store.all() if self._store else []
            live = [one.references for one in stored if not one.retired]
            self._blessed = next((one for one in live if one.key == self.key()), None)
            if self._blessed is None:
                other = live[0].key.differences(self.key()) if live else ""
                because = f"the references are for another key ({other}): capture again" if live else NONE
        except StorageFault as fault:
            self._blessed, because = None, str(fault)
        if self._blessed is not None and self._blessed.encoder:
            self._need_encoder()
        usable = len(self._blessed.references) if self._blessed else 0
        without = "" if self._blessed is None or self._blessed.encoder else self._no_vectors()
        self._on_fact(
            ReferencesKnown(at=self._clock.now().boot, usable=usable, because=because, encoder_because=without)
        )
        self._board.references |= {"id": self._blessed.id if self._blessed else "", "usable": usable}
        log.info("references", usable=usable, because=because)

    def _no_vectors(self) -> str:
        why = self._progress.similarity_because or "no encoder was there when the references were captured"
        return f"{why}; then capture again"

    # ── what people ask for ─────────────────────────────────────────────────────────────────────

    def list(self) -> dict[str, Any]:
        """Raises StorageFault."""
        stored = self._need_store().all()
        return {
            "key": msgspec.to_builtins(self.key()),
            "in_force": self._blessed.id if self._blessed else "",
            "because": "" if self._blessed else NONE if not stored else "none of these has today's key",
            "capture": self._progress.as_json(),
            "sets": [{**_summary(one.references), "retired": one.retired} for one in stored],
        }

    def show(self, id: str) -> dict[str, Any]:
        """Numbers of every reference of one set. Raises Refused, StorageFault."""
        references = self._find(id)
        return {**_summary(references), "references": [_numbers(one) for one in references.references]}

    def export(self, id: str) -> bytes:
        """The whole set, to be imported elsewhere. Raises Refused, StorageFault."""
        return msgspec.json.encode(self._find(id))

    def take_in(self, document: bytes, name: str) -> dict[str, Any]:
        """Bless an exported set. Raises BadInput, Refused, StorageFault."""
        references = imported(document, name)
        if references.key != self.key():
            raise Refused(f"the set is for another key: {references.key.differences(self.key())}")
        self._need_store().bless(references)
        self._adopt()
        return _summary(references)

    def retire(self, id: str) -> dict[str, Any]:
        """Raises Refused, StorageFault."""
        found = self._find(id)
        self._need_store().retire(found.id)
        self._adopt()
        return _summary(found)

    def capture(self, repeats: int = 0) -> dict[str, Any]:
        """Begin one in the background; ``list()["capture"]`` tells how far it is. Raises Refused."""
        store, knobs = self._need_store(), self._settings.references
        if self._progress.state == "running":
            raise Refused("a capture is under way")
        if because := self._unfit():
            raise Refused(because)
        self._need_encoder()
        capture = Capture(self._asking, self._clock, concurrency=knobs.concurrency, busy=self._saturated)
        self._progress = Progress(state="running", capture=capture)
        self._captures += 1
        self._tasks.start(
            f"capture {self._captures}",
            lambda: self._capture(store, capture, self._progress, repeats or knobs.repeats),
            restart_after=None,
        )
        return self._progress.as_json()

    def _saturated(self) -> str:
        return self.demand.saturated(self._clock.now().boot)

    def _unfit(self) -> str:
        """Why the engine of this moment must not become the measure of all later ones."""
        if self._board.incident is not None:
            return f"incident {self._board.incident['id']} is open: references are made while nothing is wrong"
        engine = self._board.engine
        if engine is not None and engine.known and not engine.serving:
            return "the engine does not say that it serves"
        return ""

    async def _capture(self, store: ReferenceStore, capture: Capture, progress: Progress, repeats: int) -> None:
        try:
            collected = await capture.run(self._prompts, repeats)
            unstable = [one.prompt.id for one in collected if one.template_changed]
            changed = f"the chat template changed on the way ({unstable[0]})" if unstable else ""
            if because := self._unfit() or changed:
                raise Refused(because)
            now = self._clock.now()
            made, progress.similarity_because = await calibrated(
                collected,
                self._encoder,
                id=f"ref-{round(now.wall * 1000):x}",
                key=self.key(),
                engine=self._board.engine.version if self._board.engine else "",
                wall=now.wall,
            )
            store.bless(made)
        except WatchtowerError as problem:
            progress.state, progress.because = "failed", str(problem)
            log.warning("capture failed", because=progress.because)
            return
        except BaseException:
            progress.state, progress.because = "failed", "Watchtower ended, or failed; see its log"
            raise
        progress.state, progress.id = "done", made.id
        self._adopt()

    def _find(self, id: str) -> ReferenceSet:
        stored = [one.references for one in self._need_store().all()]
        found = next((one for one in stored if one.id == id or (not id and one == self._blessed)), None)
        if found is None:
            known = ", ".join(one.id for one in stored[:5]) or "none yet"
            raise Refused(f"no reference set {id or 'is in force'}; there are: {known}")
        return found

    def _need_store(self) -> ReferenceStore:
        if self._store is None:
            raise Refused("the state directory is unusable: references have nowhere to live")
        return self._store


def _summary(references: ReferenceSet) -> dict[str, Any]:
    forced = sum(bool(one.logprobs) for one in references.references)
    return {
        "id": references.id,
        "key": msgspec.to_builtins(references.key),
        "engine": references.engine,
        "encoder": references.encoder,
        "captured_wall": references.captured_wall,
        "repeats": references.repeats,
        "size": len(references.references),
        "with_logprobs": forced,
        "with_vectors": sum(one.similarity is not None for one in references.references),
    }


def _numbers(one: Reference) -> dict[str, Any]:
    return {
        "id": one.prompt.id,
        "answers": len(one.answers),
        "tokens": len(one.answer_token_ids),
        "agreement": msgspec.to_builtins(one.agreement),
        "similarity": msgspec.to_builtins(one.similarity),
        "noise_nats": noise(one),
    }
