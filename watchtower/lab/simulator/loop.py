"""The simulated engine in time: steps, streams of tokens to whoever asked, control, and the fault in force.

One task steps the group; each open request reads its own queue, bounded by the tokens it asked for. Invariant: a
step is begun only when somebody runs and nothing holds it, and once begun it ends after its slowest rank, or, hung,
not before the fault is gone. The HTTP side never takes part in a step, so it stays alive in a hang, as the real one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from watchtower.lab.simulator import language
from watchtower.lab.simulator.devices import Devices
from watchtower.lab.simulator.measurements import Measurements
from watchtower.lab.simulator.prefixes import PrefixCache
from watchtower.lab.simulator.ranks import HEALTHY, Fault, FaultKind, step_seconds
from watchtower.lab.simulator.scheduler import Emission, EngineSequence, Scheduler
from watchtower.ports import Clock


class PauseMode(StrEnum):
    """As in vLLM 0.33: only ``keep`` goes on taking requests (and queues them); the others answer 503."""

    ABORT = "abort"
    WAIT = "wait"
    KEEP = "keep"


@dataclass(frozen=True)
class Model:
    """What is served and how fast a healthy group is."""

    name: str = "tiny"
    checkpoint: str = "tiny-good"
    ranks: int = 4
    token_seconds: float = 0.02
    max_batch: int = 32
    max_model_len: int = 4096
    seed: int = 0


class EngineLoop:
    """Call ``run()`` once in a task; everything else may be called from other tasks of the same loop."""

    def __init__(self, model: Model, clock: Clock, fault_file: Path | None = None) -> None:
        self.model = model
        self.measurements = Measurements()
        self.scheduler = Scheduler(model.max_batch, model.max_batch * model.max_model_len // 4, self.measurements)
        self.devices = Devices(model.ranks, model.seed)
        self.prefixes = PrefixCache()
        self.checkpoint = language.name_of(model.checkpoint)
        """Name of the weights that are in place now, whatever was declared; "" when they are broken."""
        self.weight_version = "default"
        self.accepting = True
        """False: new requests are refused with 503."""
        self.paused = False
        self.asleep = False
        self.last_step: tuple[float, ...] = ()
        self.fault = HEALTHY
        self.fault_since: float | None = None
        self._clock = clock
        self._fault_file = fault_file
        self._changed = asyncio.Event()
        self._listeners: dict[str, asyncio.Queue[Emission]] = {}
        if fault_file is not None and fault_file.exists():
            self._inflict(msgspec.json.decode(fault_file.read_bytes(), type=Fault))

    # ── generating ────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def generate(
        self, id: str, prompt: str, max_tokens: int | None, cache_salt: str = ""
    ) -> AsyncIterator[AsyncIterator[Emission]]:
        """The emissions of one request, to its end. Leaving early aborts the sequence."""
        prompt_tokens = len(language.prompt_tokens(prompt))
        room = self.model.max_model_len - prompt_tokens
        queue: asyncio.Queue[Emission] = asyncio.Queue()
        self._listeners[id] = queue
        self.scheduler.add(
            EngineSequence(
                id=id,
                prompt_tokens=prompt_tokens,
                pieces=self._pieces(prompt, cache_salt),
                max_tokens=min(room, max_tokens) if max_tokens is not None else room,
                arrived=self._clock.now().boot,
            )
        )
        self._changed.set()
        try:
            yield self._emissions(queue)
        finally:
            del self._listeners[id]
            self.abort({id})

    def _pieces(self, prompt: str, cache_salt: str) -> tuple[str, ...]:
        """A prefix that was cached under other weights, or is corrupted, is read all the same, as a real cache is."""
        filled = self.prefixes.hit(cache_salt, prompt, self.checkpoint)
        if filled is not None and (filled != self.checkpoint or self.fault.kind is FaultKind.KV_CACHE):
            return language.answer(f"{self.checkpoint}/stale blocks", prompt)
        if self.fault.kind is FaultKind.NUMERICS:
            return language.rounded_answer(self.checkpoint, prompt)
        return language.answer(self.checkpoint, prompt)

    def written_out(self, chat_prompt: str) -> str:
        """The text that the model reads for a chat: the template's work."""
        return f"begin\n{chat_prompt}" if self.fault.kind is FaultKind.TEMPLATE else chat_prompt

    def logprobs(self, token_ids: list[int]) -> list[float]:
        """Of every token after the first. The prefix cache is not read for them, as in vLLM."""
        return language.logprobs(self.checkpoint, token_ids, rounded=self.fault.kind is FaultKind.NUMERICS)

    @staticmethod
    async def _emissions(queue: asyncio.Queue[Emission]) -> AsyncIterator[Emission]:
        while True:
            emission = await queue.get()
            yield emission
            if emission.finish is not None:
                return

    async def run(self) -> None:
        """Step for ever."""
        while True:
            self._changed.clear()
            if self.scheduler.idle:
                await self._changed.wait()
                continue
            seconds = self._step_seconds(self.scheduler.begin())
            self.devices.began(self._clock.now().boot, seconds, self.fault)
            if seconds is not None:
                await self._clock.sleep(max(seconds))
            while self.hung:
                self._changed.clear()
                await self._changed.wait()
            if seconds is not None:
                self.last_step = seconds
            ended = self._clock.now().boot
            self.devices.ended(ended)
            self._deliver(self.scheduler.finish(ended))

    def _step_seconds(self, prefill_tokens: int) -> tuple[float, ...] | None:
        return step_seconds(
            seed=self.model.seed,
            step=self.measurements.steps,
            ranks=self.model.ranks,
            token_seconds=self.model.token_seconds,
            batch=len(self.scheduler.running),
            prefill_tokens=prefill_tokens,
            fault=self.fault,
        )

    def _deliver(self, emissions: list[Emission]) -> None:
        for emission in emissions:
            listener = self._listeners.get(emission.id)
            if listener is not None:
                listener.put_nowait(emission)

    def abort(self, ids: set[str] | None) -> None:
        """End these requests (None: all) with finish reason ``abort``."""
        self._deliver(self.scheduler.abort(ids, self._clock.now().boot))

    # ── control ───────────────────────────────────────────────────────────────────────────────

    async def pause(self, mode: PauseMode) -> None:
        """Begin no further step. Requests in flight are frozen, aborted or waited for; see ``PauseMode``."""
        self.accepting = mode is PauseMode.KEEP
        if mode is PauseMode.ABORT:
            self.abort(None)
        while mode is PauseMode.WAIT and not self.scheduler.idle:
            await self._clock.sleep(self.model.token_seconds)
        if mode is not PauseMode.KEEP:
            self.prefixes.reset()
        self.paused = True
        self._hold()

    def resume(self) -> None:
        self.accepting = True
        self.paused = False
        self._hold()

    def sleep(self) -> None:
        self.asleep = True
        self._hold()

    def wake_up(self) -> None:
        self.asleep = False
        self._hold()

    def _hold(self) -> None:
        self.scheduler.frozen = self.paused or self.asleep
        self._changed.set()

    def load(self, checkpoint: str) -> bool:
        """Other weights from the next request on (sequences that run keep what they began with). As in vLLM, the
        prefix cache stays and is stale from now on: whoever loads resets it, or pauses first; and a path that cannot
        be read leaves no weights at all: False, and whatever generates from then on fails."""
        readable = "/" not in checkpoint or Path(checkpoint).is_dir()
        self.checkpoint = language.name_of(checkpoint) if readable else ""
        return readable

    # ── faults ────────────────────────────────────────────────────────────────────────────────

    @property
    def hung(self) -> bool:
        return self.fault.kind is FaultKind.HANG

    def set_fault(self, fault: Fault) -> None:
        """In force from now on; ``none`` also brings the declared weights back. Raises ValueError with the reason."""
        problem = fault.problem(self.model.ranks)
        if fault.sticky and self._fault_file is None:
            problem = problem or "sticky needs the engine to run with --fault-file"
        if problem:
            raise ValueError(problem)
        if self._fault_file is not None:
            if fault.sticky:
                self._fault_file.write_bytes(msgspec.json.encode(fault))
            else:
                self._fault_file.unlink(missing_ok=True)
        self._inflict(fault)

    def _inflict(self, fault: Fault) -> None:
        self.fault = fault
        self.devices.inflict(self._clock.now().boot, fault)
        self.fault_since = None if fault.kind is FaultKind.NONE else self._clock.now().boot
        if fault.kind in (FaultKind.DRIFT, FaultKind.NONE):
            self.prefixes.reset()  # the injection is about weights alone
        if fault.kind is FaultKind.DRIFT:
            self.load(fault.checkpoint)
        elif fault.kind is FaultKind.NONE:
            self.load(self.model.checkpoint)
        self._changed.set()
