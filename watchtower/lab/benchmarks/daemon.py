"""The daemon's own work, on invented facts and a clock moved by hand: the real windows, rules and detectors.

What is measured is everything between the relay's socket and the machine: frames are decoded from bytes, absorbed,
and evaluated once a second. Sockets, journal, web and deliveries are not in it; they cost per incident and per
request, not per token.

"Over 10,000 windows" means: every reading, each over some 300 different lengths from 10 s to the longest that is kept,
after an hour of traffic, in one tick. There is no GPU, canary or scrape here, so their readings are UNKNOWN. Every
window ends now, so one frame of facts is news for all of them; what the same costs without one is told beside it.
"""

from __future__ import annotations

import math
import resource
from collections.abc import Callable, Iterable
from functools import partial
from statistics import median
from typing import Final

import msgspec

from watchtower.clock import boottime_ns
from watchtower.lab.benchmarks.budgets import Budget
from watchtower.lab.benchmarks.host import Machine, this_machine
from watchtower.services.judging.baseline_learning import baseline_learner
from watchtower.services.judging.pipeline import Pipeline
from watchtower.services.loading import load
from watchtower.taps.framing import Deframer, frame
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.facts import Closed, Ending, ExchangeNews, Opened, RelayFrame, RelayHello
from watchtower.vocabulary.readings import READINGS, Reading
from watchtower.vocabulary.signals import Signal
from watchtower.windows import Windows

FRAMES_PER_SECOND: Final = 20
STREAMS: Final = 50
"""Each with one token a frame: 1,000 tokens a second."""
TOKENS_PER_STREAM: Final = 200
FILL_SECONDS: Final = 120
MEASURED_SECONDS: Final = 60
MANY_WINDOWS: Final = 10_000
MANY_TIMES: Final = 5
READS_PER_SECOND: Final = 2
"""Of each stream, in the hour before: it is told once a second, and ten tokens a read."""
SHORTEST_SECONDS: Final = 10.0
_GOLDEN: Final = (math.sqrt(5) - 1) / 2
_GAP_NS: Final = 1_000_000_000 // FRAMES_PER_SECOND


class DaemonCost(msgspec.Struct, frozen=True, kw_only=True):
    machine: Machine
    tokens_per_second: int
    core_share: float
    """CPU seconds per second of traffic, evaluation included."""
    tick_ms: float
    """One evaluation of the shipped rules, median."""
    windows_per_tick: int
    """Distinct windows that it read."""
    many_windows_ms: float
    """One pass over MANY_WINDOWS windows of different readings and lengths, each with news since the last; median."""
    many_windows_known: int
    """Of these, the ones that had a number."""
    many_windows_again_ms: float
    """The same without a fact in between."""

    @property
    def budgets(self) -> list[Budget]:
        what = f"daemon's share of a core at {self.tokens_per_second:,} tokens/s (facts, windows, rules)"
        return [
            Budget(what=what, limit=5, measured=self.core_share * 100, unit="%"),
            Budget(what=f"tick over {MANY_WINDOWS:,} windows", limit=50, measured=self.many_windows_ms, unit="ms"),
        ]


class _CountingWindows(Windows):
    reads = 0

    def read(self, signal: Signal | str, over: float, now: float) -> Reading:
        self.reads += 1
        return super().read(signal, over, now)


class _Traffic:
    """The frames of one relay worker, as bytes. Latencies per token are spread evenly over two octaves: 128 bins."""

    def __init__(self) -> None:
        self._sequence = self._reads = 0
        self._age = [n * TOKENS_PER_STREAM // STREAMS for n in range(STREAMS)]
        self._ids = list(range(STREAMS))

    def frame(self, at: float, reads: int, tokens: int) -> bytes:
        """Each stream was read ``reads`` times since the last frame, ``tokens`` tokens a time."""
        self._sequence += 1
        news = [self._news(stream, at, reads, tokens) for stream in range(STREAMS)]
        return frame(
            RelayFrame(at=at, worker=0, pid=1, sequence=self._sequence, open_exchanges=STREAMS, counters={}, news=news)
        )

    def _news(self, stream: int, at: float, reads: int, tokens: int) -> ExchangeNews:
        """More of a stream; an exchange that has all its tokens ends, and the next frame begins another."""
        age = self._age[stream]
        id, first = f"0.1-{self._ids[stream]}", age == 0 or self._sequence == 1
        last = age + reads * tokens >= TOKENS_PER_STREAM
        self._age[stream] = 0 if last else age + reads * tokens
        self._ids[stream] += STREAMS if last else 0
        return ExchangeNews(
            id=id,
            opened=Opened(at - 0.04, "/v1/chat/completions", "bench", True, "", 300) if first else None,
            first_token_at=at if first else None,
            first_tokens=1 if first else 0,
            last_token_at=at,
            gaps_ns=[] if first else [self._gap_ns() * tokens for _ in range(reads)],
            tokens=[] if first else [tokens] * reads,
            closed=Closed(at, Ending.COMPLETE, 200, TOKENS_PER_STREAM, 24, "length") if last else None,
        )

    def _gap_ns(self) -> int:
        self._reads += 1
        return round(_GAP_NS * 2 ** (self._reads * _GOLDEN % 1 * 2 - 1))


def measure() -> DaemonCost:
    """Takes some ten seconds of CPU."""
    machine = this_machine({})
    loaded = load(None, {})
    clock = HandClock()
    windows = _CountingWindows(loaded.window_settings())
    pipeline = Pipeline(
        settings=loaded.settings,
        rules=loaded.rules,
        windows=windows,
        learner=baseline_learner("bench", loaded.load_settings(), incident_open=lambda: False),
        clock=clock,
        submit=lambda event: None,
        lease_held=lambda: True,
    )
    deframer: Deframer[RelayFrame] = Deframer(msgspec.msgpack.Decoder(RelayFrame))
    traffic = _Traffic()

    def absorb(frames: Iterable[bytes]) -> None:
        for data in frames:
            for fact in deframer.feed(data):
                pipeline.on_fact(fact)

    def a_second() -> list[bytes]:
        began = clock.now().boot
        clock.advance(1.0)
        return [traffic.frame(began + n / FRAMES_PER_SECOND, 1, 1) for n in range(FRAMES_PER_SECOND)]

    pipeline.on_fact(RelayHello(at=clock.now().boot, worker=0, pid=1, version="", listening="", upstream=""))
    for _ in range(round(windows.settings.longest_window_seconds)):
        clock.advance(1.0)
        absorb([traffic.frame(clock.now().boot, READS_PER_SECOND, FRAMES_PER_SECOND // READS_PER_SECOND)])
    cpu, ticks = 0.0, list[float]()
    for second in range(FILL_SECONDS + MEASURED_SECONDS):
        frames = a_second()
        before = _cpu_seconds()
        absorb(frames)
        windows.reads = 0
        took = _milliseconds(pipeline.tick)
        if second >= FILL_SECONDS:
            cpu += _cpu_seconds() - before
            ticks.append(took)
    per_tick = windows.reads
    many, again, known = list[float](), list[float](), 0
    for _ in range(MANY_TIMES):
        absorb(a_second())
        wanted = partial(_many, windows, clock.now().boot)
        many.append(_milliseconds(wanted))
        again.append(_milliseconds(wanted))
        known = wanted()
    return DaemonCost(
        machine=machine,
        tokens_per_second=STREAMS * FRAMES_PER_SECOND,
        core_share=cpu / MEASURED_SECONDS,
        tick_ms=median(ticks),
        windows_per_tick=per_tick,
        many_windows_ms=median(many),
        many_windows_known=known,
        many_windows_again_ms=median(again),
    )


def _many(windows: Windows, now: float) -> int:
    """How many of MANY_WINDOWS windows have a number."""
    names, longest, known = list(READINGS), windows.settings.longest_window_seconds, 0
    for number in range(MANY_WINDOWS):
        over = SHORTEST_SECONDS + (longest - SHORTEST_SECONDS) * number / MANY_WINDOWS
        known += windows.read(names[number % len(names)], over, now).known
    return known


def _milliseconds(work: Callable[[], object]) -> float:
    began = boottime_ns()
    work()
    return (boottime_ns() - began) / 1e6


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
