"""A model of an engine that batches continuously, for the judges of load: M/G/∞ until the batch is full, then a queue.

Every step gives each running sequence one token; it takes longer the more run and the more prompt bytes join in it.
Sickness multiplies the step. What the windows would read of it comes out, one ``LoadNow`` for each asked instant.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from watchtower.detectors import LoadNow


@dataclass(kw_only=True)
class Clients:
    """Open loop: Poisson ``arrivals`` a second. Closed loop: ``callers`` who think between two requests."""

    arrivals: Callable[[float], float] = lambda now: 0.0
    callers: Callable[[float], int] = lambda now: 0
    think_seconds: float = 0.0
    prompt_bytes: Callable[[float], float] = lambda now: 400.0
    output_tokens: Callable[[float], float] = lambda now: 20.0


@dataclass
class _Second:
    open_area: float = 0.0
    tokens: int = 0
    arrivals: int = 0
    asked: float = 0.0
    answered: float = 0.0
    steps: list[tuple[float, int]] = field(default_factory=list)


@dataclass(kw_only=True)
class Engine:
    clients: Clients
    seed: int = 1
    step_seconds: float = 0.05
    batch_rise: float = 0.02
    """Each further running sequence lengthens a step by this share."""
    most_running: int = 64
    byte_seconds: float = 1e-5
    """Prefill of one prompt byte."""
    sickness: Callable[[float], float] = lambda now: 1.0
    window: int = 30

    def readings(self, seconds: int, every: int = 10) -> Iterator[tuple[float, LoadNow]]:
        """(now, what a window that ends now says) every so many seconds, once a whole window has passed."""
        past: deque[_Second] = deque(maxlen=self.window)
        for second, seen in enumerate(self._run(seconds), start=1):
            past.append(seen)
            if second >= self.window and second % every == 0:
                yield float(second), _read(past)

    def _run(self, seconds: int) -> Iterator[_Second]:
        rng = random.Random(self.seed)
        now, steps, second = 0.0, 0, _Second()
        waiting: deque[tuple[float, int]] = deque()
        running: list[tuple[int, float]] = []  # (the step it ends with, prompt bytes)
        thinking: list[float] = []  # when callers ask next
        callers, next_arrival = 0, _next(rng, self.clients.arrivals(0.0), 0.0)
        while now < seconds:
            for _ in range(callers, self.clients.callers(now)):
                heapq.heappush(thinking, now + rng.random() * self.clients.think_seconds)
                callers += 1
            asking = 0
            while next_arrival <= now:
                next_arrival = _next(rng, self.clients.arrivals(now), next_arrival)
                asking += 1
            while thinking and thinking[0] <= now:
                heapq.heappop(thinking)
                asking += 1
            for _ in range(asking):
                size = self.clients.prompt_bytes(now) * rng.lognormvariate(-0.3, 0.8)
                length = 1 + int(rng.expovariate(1 / self.clients.output_tokens(now)))
                waiting.append((size, length))
                second.arrivals += 1
                second.asked += size
            joined = 0.0
            while waiting and len(running) < self.most_running:
                size, length = waiting.popleft()
                heapq.heappush(running, (steps + length, size))
                joined += size
            batch = len(running)
            took = self.step_seconds * (1 + self.batch_rise * max(0, batch - 1)) + self.byte_seconds * joined
            took *= self.sickness(now) * rng.uniform(0.95, 1.05)
            second.open_area += (batch + len(waiting)) * took
            second.answered += joined
            second.tokens += batch
            second.steps.append((took, batch))
            steps += 1
            while running and running[0][0] <= steps:
                heapq.heappop(running)
                if callers:
                    heapq.heappush(thinking, now + took + rng.expovariate(1) * self.clients.think_seconds)
            before, now = now, now + took
            for _ in range(int(now) - int(before)):
                yield second
                second = _Second()


def _next(rng: random.Random, rate: float, now: float) -> float:
    return now + rng.expovariate(rate) if rate > 0 else float("inf")


def _read(past: deque[_Second]) -> LoadNow:
    seconds = len(past)
    gaps = sorted(step for second in past for step in second.steps if step[1])
    total, seen, p95 = sum(count for _, count in gaps), 0, None
    for took, count in gaps:
        seen += count
        if seen >= 0.95 * total:
            p95 = took
            break
    asked, answered = sum(second.asked for second in past), sum(second.answered for second in past)
    return LoadNow(
        open_exchanges=sum(second.open_area for second in past) / seconds,
        p95_seconds=p95,
        tokens_per_second=sum(second.tokens for second in past) / seconds,
        arrivals_per_second=sum(second.arrivals for second in past) / seconds,
        prompt_bytes_per_second=max(asked, answered) / seconds,
    )
