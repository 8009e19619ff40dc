"""Continuous batching: who runs, who waits, and which tokens one step makes.

One step gives every running sequence one token; sequences join between steps while there is room, first come first
served, and leave when they are finished or aborted. Invariant: a sequence is in exactly one of waiting, running, gone.
Pure: the caller says what time it is.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from watchtower.lab.simulator.measurements import Measurements


class Finish(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    ABORT = "abort"


@dataclass(slots=True)
class EngineSequence:
    """One request's way through the engine. ``pieces`` is everything that the model would say."""

    id: str
    prompt_tokens: int
    pieces: tuple[str, ...]
    max_tokens: int
    arrived: float
    made: int = 0
    last_token: float = 0.0
    finish: Finish | None = None

    @property
    def finished_after_next(self) -> Finish | None:
        """How the sequence ends with its next token, if it does."""
        if self.made + 1 >= len(self.pieces):
            return Finish.STOP
        return Finish.LENGTH if self.made + 1 >= self.max_tokens else None


@dataclass(frozen=True, slots=True)
class Emission:
    """One sequence's share of one step; ``piece`` is None when it ended without a further token."""

    id: str
    piece: str | None
    finish: Finish | None


@dataclass(slots=True)
class Scheduler:
    max_batch: int
    kv_tokens: int
    """Tokens that fit into the KV cache."""
    measurements: Measurements
    waiting: deque[EngineSequence] = field(default_factory=deque)
    running: list[EngineSequence] = field(default_factory=list)
    frozen: bool = False
    """Paused or asleep: sequences keep their places, and no step is begun."""

    @property
    def idle(self) -> bool:
        return self.frozen or not (self.running or self.waiting)

    def add(self, sequence: EngineSequence) -> None:
        self.waiting.append(sequence)
        self.measurements.prompt_tokens += sequence.prompt_tokens
        self.publish()

    def begin(self) -> int:
        """Let waiting sequences join while there is room. Returns the prompt tokens that this step must prefill."""
        prefill = 0
        while self.waiting and len(self.running) < self.max_batch:
            sequence = self.waiting.popleft()
            self.running.append(sequence)
            prefill += sequence.prompt_tokens
        return prefill

    def finish(self, now: float) -> list[Emission]:
        """End the step at ``now`` (CLOCK_BOOTTIME seconds): one token for everybody who still runs."""
        emissions: list[Emission] = []
        for sequence in self.running:
            ending = sequence.finished_after_next
            piece = sequence.pieces[sequence.made]
            sequence.made += 1
            if sequence.made == 1:
                self.measurements.time_to_first_token.observe(now - sequence.arrived)
            else:
                self.measurements.inter_token_latency.observe(now - sequence.last_token)
            sequence.last_token = now
            sequence.finish = ending
            emissions.append(Emission(sequence.id, piece, ending))
            if ending is not None:
                self.measurements.finished(ending, now - sequence.arrived)
        if emissions:
            self.measurements.stepped(len(emissions))
        self.running = [sequence for sequence in self.running if sequence.finish is None]
        self.publish()
        return emissions

    def abort(self, ids: set[str] | None, now: float) -> list[Emission]:
        """End these sequences (None: all) without a further token. Unknown ids are ignored."""
        gone = [s for s in (*self.running, *self.waiting) if ids is None or s.id in ids]
        for sequence in gone:
            sequence.finish = Finish.ABORT
            self.measurements.finished(Finish.ABORT, now - sequence.arrived)
        self.running = [s for s in self.running if s.finish is None]
        self.waiting = deque(s for s in self.waiting if s.finish is None)
        self.publish()
        return [Emission(sequence.id, None, Finish.ABORT) for sequence in gone]

    def publish(self) -> None:
        """Set the gauges to what is true now."""
        held = sum(s.prompt_tokens + s.made for s in self.running)
        self.measurements.running = len(self.running)
        self.measurements.waiting = len(self.waiting)
        self.measurements.kv_cache_ratio = min(1.0, held / self.kv_tokens)
