"""The daemon's side of the scorer child: one batch at a time, canaries first, never more CPU than allowed.

Whatever becomes of the child (it crashes, hangs, is killed for memory, answers garbage) costs the batch it had and
nothing else: that batch is UNKNOWN, is not tried again (a text that kills its reader would kill every reader), and
another child starts after a growing pause. The governor rests before a batch is sent, so that a deadline measures
computing alone. Texts live in this memory and in the pipe.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import numpy as np
import structlog

from watchtower.ports import Clock
from watchtower.scoring.measures.governor import Governor
from watchtower.scoring.messages import Done, Ready, ScorerPlan, Work, frame, read
from watchtower.vocabulary.embeddings import Embedding

START_SECONDS = 180.0
"""Longest that loading torch and the encoder may take, on a busy machine too."""
BATCH_TEXTS = 8
"""Texts of one batch: canaries wait for no more than one batch of live samples."""
MOST_LIVE = 256
"""Live texts that may wait; beyond it the oldest fall off, counted."""
MOST_CANARIES = 4096
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 120.0
STEADY_SECONDS = 300.0
"""A child that lived this long was no failure to start: the pause begins anew."""
STILL_LOADING = "the encoder is still loading"

log = structlog.get_logger("watchtower.scoring.scorer_child")


class _Batch:
    """Texts that go to the child together, and who waits for them."""

    def __init__(self, texts: list[str], live: bool) -> None:
        self.work = texts
        self.live = live
        self.answer: asyncio.Future[Embedding] = asyncio.get_running_loop().create_future()

    def settle(self, answer: Embedding) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


class ScorerReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the scorer is doing."""

    state: str
    """loading · ready · down · never (it cannot be loaded at all) · closed."""
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

    def __init__(
        self,
        plan: ScorerPlan,
        clock: Clock,
        *,
        cores: float,
        deadline_seconds: float = 60.0,
        memory_bytes: int = 1024**3,
        start_seconds: float = START_SECONDS,
        first_pause_seconds: float = FIRST_PAUSE_SECONDS,
        program: tuple[str, ...] = (sys.executable, "-m", "watchtower.programs.scorer"),
    ) -> None:
        """``cores``: CPU seconds per second that embedding may take over time; ``deadline_seconds``: longest for one
        batch; ``memory_bytes``: a child that is larger after a batch is replaced."""
        self._plan = plan
        self._clock = clock
        self._deadline_seconds = deadline_seconds
        self._memory_bytes = memory_bytes
        self._start_seconds = start_seconds
        self._first_pause_seconds = first_pause_seconds
        self._program = program
        self._governor = Governor(cores, clock.now().boot)
        self._canaries: deque[_Batch] = deque()
        self._live: deque[_Batch] = deque()
        self._news = asyncio.Event()
        """Set when a batch came, or the end."""
        self._process: asyncio.subprocess.Process | None = None
        self._state = "loading"
        self._because = STILL_LOADING
        self._ready = Ready()
        self._texts = self._pieces = self._children = self._kills = self._live_dropped = self._rss_bytes = 0
        self._cpu_seconds = 0.0

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
            children=self._children,
            kills=self._kills,
            live_dropped=self._live_dropped,
        )

    async def embed(self, texts: Sequence[str], *, live: bool = False) -> Embedding:
        """While the encoder loads, canaries wait for it and live samples do not."""
        if self._state in ("down", "never", "closed") or (live and self._state == "loading"):
            return self._unknown()
        queue = self._live if live else self._canaries
        if not live and len(queue) * BATCH_TEXTS + len(texts) > MOST_CANARIES:
            return Embedding(None, f"more than {MOST_CANARIES} texts wait for the scorer")
        batches = [_Batch(list(texts[i : i + BATCH_TEXTS]), live) for i in range(0, len(texts), BATCH_TEXTS)]
        queue.extend(batches)
        while len(self._live) * BATCH_TEXTS > MOST_LIVE:
            self._drop(self._live.popleft())
        self._news.set()
        answers = [await batch.answer for batch in batches]
        vectors: list[list[float]] = []
        for answer in answers:
            if answer.vectors is None:
                return answer
            vectors += answer.vectors
        return Embedding(vectors, encoder=self._ready.encoder)

    async def run(self) -> None:
        """Keep a child running until closed, or until it is plain that there is nothing to load."""
        pause = self._first_pause_seconds
        while self._state not in ("closed", "never"):
            began = self._clock.now().boot
            self._state, self._because = "loading", STILL_LOADING
            because = await self._one_life()
            if self._state in ("closed", "never"):
                break
            self._kills += 1
            log.warning("scorer child gone", because=because, kills=self._kills)
            if self._clock.now().boot - began > STEADY_SECONDS:
                pause = self._first_pause_seconds
            self._refuse("down", f"{because}; the next one starts in {pause:g} s")
            await self._clock.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def close(self) -> None:
        """End the child. What waits is UNKNOWN."""
        self._refuse("closed", "Watchtower is ending")
        self._news.set()
        self._kill()
        if self._process is not None:
            await self._process.wait()

    # ── one child ───────────────────────────────────────────────────────────────────────────────

    async def _one_life(self) -> str:
        """Start a child and feed it until it is of no use any more: why."""
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *self._program,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as problem:
            return f"the scorer child cannot be started: {problem.strerror}"
        self._children += 1
        try:
            if self._state == "closed":
                return self._because
            return await self._fed(process)
        finally:
            self._kill()
            if process.stdin is not None:
                process.stdin.close()
            await process.wait()

    async def _fed(self, process: asyncio.subprocess.Process) -> str:
        try:
            async with asyncio.timeout(self._start_seconds):
                self._ready = msgspec.msgpack.decode(await self._asked(process, self._plan), type=Ready)
        except TimeoutError:
            return f"the scorer child was not ready within {self._start_seconds:g} s"
        except (EOFError, OSError):
            return f"the scorer child ended while loading ({await _status(process)})"
        except (ValueError, msgspec.MsgspecError):
            return "the scorer child wrote garbage"
        if self._ready.trouble:
            log.warning("no similarity", because=self._ready.trouble)
            self._refuse("never", self._ready.trouble)
            return self._ready.trouble
        self._state, self._because, self._rss_bytes = "ready", "", self._ready.rss_bytes
        log.info("scorer ready", encoder=self._ready.encoder, rss_bytes=self._rss_bytes)
        while True:
            batch = await self._next()
            if batch is None:
                return self._because
            because = await self._computed(process, batch)
            if because:
                self._refuse("down", because)
                batch.settle(Embedding(None, because))
                return because

    async def _computed(self, process: asyncio.subprocess.Process, batch: _Batch) -> str:
        """Have one batch embedded; why the child has to go, else ""."""
        self._texts += len(batch.work)
        number = self._texts
        try:
            async with asyncio.timeout(self._deadline_seconds):
                body = await self._asked(process, Work(number, [_encodable(text) for text in batch.work]))
            done = msgspec.msgpack.decode(body, type=Done)
            vectors = np.frombuffer(done.vectors, dtype="<f4").reshape(-1, max(1, self._ready.width))
        except TimeoutError:
            return f"the scorer child was killed: no answer within {self._deadline_seconds:g} s"
        except (EOFError, OSError):
            return f"the scorer child ended in the middle of a batch ({await _status(process)})"
        except (ValueError, msgspec.MsgspecError):
            return "the scorer child wrote garbage"
        self._governor.spend(done.cpu_seconds, self._clock.now().boot)
        self._cpu_seconds += done.cpu_seconds
        self._pieces += done.pieces
        self._rss_bytes = done.rss_bytes
        if done.trouble:
            batch.settle(Embedding(None, f"the encoder failed: {done.trouble}"))
        elif done.id != number or len(vectors) != len(batch.work) or not np.isfinite(vectors).all():
            return "the scorer child wrote garbage"
        else:
            batch.settle(Embedding(vectors.tolist(), encoder=self._ready.encoder))
        if done.rss_bytes > self._memory_bytes:
            return f"the scorer child grew to {done.rss_bytes / 1e6:.0f} MB and was replaced"
        return ""

    async def _next(self) -> _Batch | None:
        """The next batch once the governor lets it start; None: closed. A canary that comes meanwhile goes first."""
        while self._state == "ready":
            queue = self._canaries or self._live
            if not queue:
                self._news.clear()
                await self._news.wait()
                continue
            rest = self._governor.rest(self._clock.now().boot, live=queue is self._live)
            if rest <= 0:
                return queue.popleft()
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await self._news.wait()
        return None

    async def _asked(self, process: asyncio.subprocess.Process, message: msgspec.Struct) -> bytes:
        if process.stdin is None or process.stdout is None:
            raise EOFError
        process.stdin.write(frame(message))
        await process.stdin.drain()
        return await read(process.stdout)

    # ── endings ─────────────────────────────────────────────────────────────────────────────────

    def _unknown(self) -> Embedding:
        return Embedding(None, self._because)

    def _refuse(self, state: str, because: str) -> None:
        """Enter a state without a child; everything that waits is UNKNOWN."""
        if self._state != "closed":
            self._state, self._because = state, because
        for queue in (self._canaries, self._live):
            while queue:
                queue.popleft().settle(self._unknown())

    def _drop(self, batch: _Batch) -> None:
        self._live_dropped += len(batch.work)
        batch.settle(Embedding(None, "the scorer had no time for a live sample"))

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


async def _status(process: asyncio.subprocess.Process) -> str:
    """How it ended, in words; a child that only closed its pipe is made to end."""
    with suppress(ProcessLookupError):
        if process.returncode is None:
            try:
                async with asyncio.timeout(1.0):
                    await process.wait()
            except TimeoutError:
                os.killpg(process.pid, signal.SIGKILL)
    code = await process.wait()
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"status {code}"


def _encodable(text: str) -> str:
    """Lone surrogates, as broken JSON escapes leave them, cannot travel as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")
