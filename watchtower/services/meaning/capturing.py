"""Captures: one at a time, in the background, only while nothing is wrong. One that fails changes nothing.

A change of the answers that was meant (another quantization, a new version of the engine) is an incident that only a
new measure ends. So a person may say that it was meant; that covers nothing but the answers, and no cure under way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import structlog

from watchtower.canaries.asking import Asking
from watchtower.canaries.capture import Capture, Collected
from watchtower.ports import Clock, Encoder
from watchtower.services.meaning.calibrating import calibrate
from watchtower.services.meaning.circumstances import Circumstances
from watchtower.settings import ReferenceSettings
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import Refused, WatchtowerError
from watchtower.vocabulary.incidents import IncidentState
from watchtower.vocabulary.references import Prompt, ReferenceKey, ReferenceSet
from watchtower.windows.meaning_windows import FAMILIES

log = structlog.get_logger("watchtower.references")

UNDER_WAY = (IncidentState.ACTING, IncidentState.VERIFYING)
"""A cure changes the answers while they are being asked for."""
MEANT = frozenset(FAMILIES) - {"malformed_output"}
"""What may change on purpose; nobody means garbage."""


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


class Captures:
    """``begin`` one; ``progress`` tells of the newest."""

    def __init__(
        self,
        settings: ReferenceSettings,
        *,
        clock: Clock,
        asking: Asking,
        encoder: Encoder,
        need_encoder: Callable[[], None],
        busy: Callable[[], str],
        circumstances: Circumstances,
        tasks: TaskGroup,
        key: Callable[[], ReferenceKey],
        bless: Callable[[ReferenceSet], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._asking = asking
        self._encoder = encoder
        self._need_encoder = need_encoder
        self._busy = busy
        self._circumstances = circumstances
        self._tasks = tasks
        self._key = key
        self._bless = bless
        self._count = 0
        self.progress = Progress()

    @property
    def running(self) -> bool:
        return self.progress.state == "running"

    def begin(self, prompts: list[Prompt], repeats: int, *, meant: bool = False) -> Progress:
        """``repeats`` 0: as configured. ``meant``: see above. Raises Refused."""
        if self.running:
            raise Refused("a capture is under way")
        if because := self._unfit(meant):
            raise Refused(because)
        self._need_encoder()
        capture = Capture(self._asking, self._clock, concurrency=self._settings.concurrency, busy=self._busy)
        progress = self.progress = Progress(state="running", capture=capture)
        self._count += 1
        times = repeats or self._settings.repeats
        self._tasks.start(
            f"capture {self._count}", lambda: self._run(capture, progress, prompts, times, meant), restart_after=None
        )
        return progress

    def _unfit(self, meant: bool) -> str:
        """Why the engine of this moment must not become the measure of all later ones."""
        if (incident := self._circumstances.incident()) is not None:
            because = f"incident {incident.id} is open: references are made while nothing is wrong"
            if incident.state in UNDER_WAY or not self._about_answers(incident.rules):
                return because
            if not meant:
                return f"{because}; if the answers were meant to change: watchtower references capture --meant"
        engine = self._circumstances.engine()
        if engine is not None and engine.known and not engine.serving:
            return "the engine does not say that it serves"
        return ""

    def _about_answers(self, rules: Collection[str]) -> bool:
        """Whether these rules read nothing but what references measure."""
        seen = {verdict.rule: verdict.readings for verdict in self._circumstances.verdicts()}
        families = [reading.name.partition(".")[0] for rule in rules for reading in seen.get(rule, ())]
        return all(seen.get(rule) for rule in rules) and all(family in MEANT for family in families)

    async def _run(
        self, capture: Capture, progress: Progress, prompts: list[Prompt], repeats: int, meant: bool
    ) -> None:
        try:
            collected = await capture.run(prompts, repeats)
            if because := self._unfit(meant) or _unsteady(collected):
                raise Refused(because)
            made = await self._calibrated(collected, progress)
            self._bless(made)
        except WatchtowerError as problem:
            progress.state, progress.because = "failed", str(problem)
            log.warning("capture failed", because=progress.because)
        except BaseException:
            progress.state, progress.because = "failed", "Watchtower ended, or failed; see its log"
            raise
        else:
            progress.state, progress.id = "done", made.id

    async def _calibrated(self, collected: list[Collected], progress: Progress) -> ReferenceSet:
        now, engine = self._clock.now(), self._circumstances.engine()
        made, progress.similarity_because = await calibrate(
            collected,
            self._encoder,
            id=f"ref-{round(now.wall * 1000):x}",
            key=self._key(),
            engine=engine.version if engine else "",
            wall=now.wall,
        )
        return made


def _unsteady(collected: list[Collected]) -> str:
    changed = next((question.prompt.id for question in collected if question.template_changed), "")
    return f"the chat template changed on the way ({changed})" if changed else ""
