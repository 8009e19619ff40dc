"""The daemon's side of the scorer child: one batch at a time, canaries first, never more CPU than allowed.

Whatever becomes of the child (it crashes, hangs, is killed for memory, answers garbage) costs the batch it had and
nothing else: that batch is UNKNOWN, is not tried again (a text that kills its reader would kill every reader), and
another child starts after a growing pause. The governor rests before a batch is sent, so that a deadline measures
computing alone. Texts live in this memory and in the pipe.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from enum import StrEnum

import msgspec
import numpy as np
import structlog

from watchtower.children.child_process import ChildProcess
from watchtower.children.counts import Counts
from watchtower.children.policy.backoff import Backoff
from watchtower.children.policy.patience import Patience
from watchtower.children.policy.restart import Exit, ExitKind
from watchtower.children.respawning import respawn
from watchtower.ports import Clock
from watchtower.scoring.batches import MOST_CANARIES, Batch, Batches
from watchtower.scoring.measures.governor import Governor
from watchtower.scoring.messages import Done, Ready, ScorerPlan, Work, frame, read
from watchtower.vocabulary.embeddings import Embedding

START_SECONDS = 180.0
"""Longest that loading torch and the encoder may take, on a busy machine too."""
BACKOFF = Backoff(first_seconds=1.0, longest_seconds=120.0, steady_seconds=300.0)
STILL_LOADING = "the encoder is still loading"

log = structlog.get_logger("watchtower.scoring.scorer_child")


class ScorerState(StrEnum):
    LOADING = "loading"
    READY = "ready"
    DOWN = "down"
    NEVER = "never"
    """It cannot be loaded at all."""
    CLOSED = "closed"


class ScorerReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the scorer is doing."""

    state: ScorerState
    because: str = ""
    encoder: str = ""
    texts: int = 0
    pieces: int = 0
    cpu_seconds: float = 0.0
    """Spent on embedding; loading is not in it."""
    rss_bytes: int = 0
    children: int = 0
    """Started so far."""
    kills: int = 0
    """Children that crashed, hung, grew too large or wrote garbage."""
    live_dropped: int = 0
    """Live samples that fell off because canaries or the CPU share left no time."""


class ScorerChild:
    """An ``Encoder``. ``run`` keeps a child alive; ``embed`` may be called before, during and after."""

    event = "scorer child gone"

    def __init__(
        self,
        plan: ScorerPlan,
        clock: Clock,
        *,
        cores: float,
        deadline_seconds: float = 60.0,
        memory_bytes: int = 1024**3,
        start_seconds: float = START_SECONDS,
        backoff: Backoff = BACKOFF,
        program: tuple[str, ...] = (sys.executable, "-m", "watchtower.programs.scorer"),
    ) -> None:
        """``cores``: CPU seconds per second that embedding may take over time; ``deadline_seconds``: longest for one
        batch; ``memory_bytes``: a child that is larger after a batch is replaced."""
        self._plan = plan
        self._clock = clock
        self._deadline_seconds = deadline_seconds
        self._memory_bytes = memory_bytes
        self._patience = Patience(start_seconds=start_seconds)
        self._backoff = backoff
        self._program = program
        self._governor = Governor(cores, clock.now().boot)
        self._batches = Batches()
        self._counts = Counts()
        self._child: ChildProcess | None = None
        self._state = ScorerState.LOADING
        self._because = STILL_LOADING
        self._ready = Ready()
        self._texts = self._pieces = self._rss_bytes = 0
        self._cpu_seconds = 0.0

    @property
    def labels(self) -> dict[str, int]:
        """For the log."""
        return {"kills": self._counts.kills}

    @property
    def report(self) -> ScorerReport:
        return ScorerReport(
            state=self._state,
            because=self._because,
            encoder=self._ready.encoder,
            texts=self._texts,
            pieces=self._pieces,
            cpu_seconds=self._cpu_seconds,
            rss_bytes=self._rss_bytes,
            children=self._counts.started,
            kills=self._counts.kills,
            live_dropped=self._batches.live_dropped,
        )

    async def embed(self, texts: Sequence[str], *, live: bool = False) -> Embedding:
        """While the encoder loads, canaries wait for it and live samples do not."""
        refused = self._state in (ScorerState.DOWN, ScorerState.NEVER, ScorerState.CLOSED)
        if refused or (live and self._state is ScorerState.LOADING):
            return Embedding(None, self._because)
        batches = self._batches.put(texts, live=live)
        if batches is None:
            return Embedding(None, f"more than {MOST_CANARIES} texts wait for the scorer")
        answers = [await batch.answer for batch in batches]
        vectors: list[list[float]] = []
        for answer in answers:
            if answer.vectors is None:
                return answer
            vectors += answer.vectors
        return Embedding(vectors, encoder=self._ready.encoder)

    async def run(self) -> None:
        """Keep a child running until closed, or until it is plain that there is nothing to load."""
        await respawn(self, self._backoff, self._clock)

    async def close(self) -> None:
        """End the child. What waits is UNKNOWN."""
        self._refuse(ScorerState.CLOSED, "Watchtower is ending")
        if self._child is not None:
            await self._child.reap(self._because)

    # ── one child ───────────────────────────────────────────────────────────────────────────────

    async def live(self) -> Exit:
        """Start a child and feed it until it is of no use any more."""
        if self._over:
            return Exit(ExitKind.FINAL)
        self._state, self._because = ScorerState.LOADING, STILL_LOADING
        try:
            self._child = child = await ChildProcess.spawn(self._program, self._patience, self._counts)
        except OSError as problem:
            return Exit(ExitKind.FAILED, f"the scorer child cannot be started: {problem.strerror}")
        try:
            if not self._over and await self._loaded(child):
                await self._fed(child)
        finally:
            await child.reap(self._because)
        return Exit(ExitKind.FINAL if self._over else ExitKind.FAILED, child.gone)

    async def pause(self, ended: Exit, seconds: float) -> None:
        self._refuse(ScorerState.DOWN, f"{ended.because}; the next one starts in {seconds:g} s")
        await self._clock.sleep(seconds)

    async def _loaded(self, child: ChildProcess) -> bool:
        """Have it load its encoder; a child that cannot is given up, or is the last one."""
        try:
            body = await child.heard(self._asked(child, self._plan))
            self._ready = msgspec.msgpack.decode(body, type=Ready)
        except TimeoutError:
            child.give_up(f"the scorer child was not ready within {child.patience_seconds:g} s")
            return False
        except (EOFError, OSError):
            child.give_up(f"the scorer child ended while loading ({await child.status_in_words()})")
            return False
        except (ValueError, msgspec.MsgspecError):
            child.give_up("the scorer child wrote garbage")
            return False
        if self._ready.trouble:
            log.warning("no similarity", because=self._ready.trouble)
            self._refuse(ScorerState.NEVER, self._ready.trouble)
            return False
        child.mark_ready()
        self._state, self._because, self._rss_bytes = ScorerState.READY, "", self._ready.rss_bytes
        log.info("scorer ready", encoder=self._ready.encoder, rss_bytes=self._rss_bytes)
        return True

    async def _fed(self, child: ChildProcess) -> None:
        """Batch by batch, until it is given up or we are closed."""
        while (batch := await self._next()) is not None:
            if because := await self._computed(child, batch):
                child.give_up(because)
                self._refuse(ScorerState.DOWN, because)
                batch.settle(Embedding(None, because))
                return

    async def _computed(self, child: ChildProcess, batch: Batch) -> str:
        """Have one batch embedded; why the child has to go, else ""."""
        self._texts += len(batch.texts)
        number = self._texts
        try:
            async with asyncio.timeout(self._deadline_seconds):
                body = await self._asked(child, Work(number, [_encodable(text) for text in batch.texts]))
            done = msgspec.msgpack.decode(body, type=Done)
            vectors = np.frombuffer(done.vectors, dtype="<f4").reshape(-1, max(1, self._ready.width))
        except TimeoutError:
            return f"the scorer child was killed: no answer within {self._deadline_seconds:g} s"
        except (EOFError, OSError):
            return f"the scorer child ended in the middle of a batch ({await child.status_in_words()})"
        except (ValueError, msgspec.MsgspecError):
            return "the scorer child wrote garbage"
        self._governor.spend(done.cpu_seconds, self._clock.now().boot)
        self._cpu_seconds += done.cpu_seconds
        self._pieces += done.pieces
        self._rss_bytes = done.rss_bytes
        if done.trouble:
            batch.settle(Embedding(None, f"the encoder failed: {done.trouble}"))
        elif done.id != number or len(vectors) != len(batch.texts) or not np.isfinite(vectors).all():
            return "the scorer child wrote garbage"
        else:
            batch.settle(Embedding(vectors.tolist(), encoder=self._ready.encoder))
        if done.rss_bytes > self._memory_bytes:
            return f"the scorer child grew to {done.rss_bytes / 1e6:.0f} MB and was replaced"
        return ""

    async def _next(self) -> Batch | None:
        """The next batch once the governor lets it start; None: closed. A canary that comes meanwhile goes first."""
        while self._state is ScorerState.READY:
            live = self._batches.next_is_live
            rest = None if live is None else self._governor.rest(self._clock.now().boot, live=live)
            if rest is not None and rest <= 0:
                return self._batches.take()
            await self._batches.news(rest)
        return None

    async def _asked(self, child: ChildProcess, message: msgspec.Struct) -> bytes:
        child.write(frame(message))
        await child.drain()
        return await read(child.output)

    # ── endings ─────────────────────────────────────────────────────────────────────────────────

    @property
    def _over(self) -> bool:
        return self._state in (ScorerState.CLOSED, ScorerState.NEVER)

    def _refuse(self, state: ScorerState, because: str) -> None:
        """Enter a state without a child; everything that waits is UNKNOWN."""
        if self._state is not ScorerState.CLOSED:
            self._state, self._because = state, because
        self._batches.refuse(self._because)


def _encodable(text: str) -> str:
    """Lone surrogates, as broken JSON escapes leave them, cannot travel as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
