"""The daemon's own work, on invented facts and a clock moved by hand: the real windows, rules and detectors.

What is measured is everything between the relay's socket and the machine: frames are decoded from bytes, absorbed,
and evaluated once a second. Sockets, journal, web and deliveries are not in it; they cost per incident and per
request, not per token.
"""

from __future__ import annotations

import resource
from statistics import median
from typing import Final

import msgspec

from watchtower import __version__
from watchtower.benchmarks.budgets import Budget
from watchtower.benchmarks.machine import Machine, this_machine
from watchtower.board import Board
from watchtower.clock import boottime_ns
from watchtower.daemon.loading import load
from watchtower.daemon.pipeline import Pipeline
from watchtower.detectors.load import LoadExplainsLatency
from watchtower.taps.framing import Deframer, frame
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.facts import Closed, Ending, ExchangeNews, Opened, RelayFrame, RelayHello
from watchtower.vocabulary.readings import READINGS, Reading
from watchtower.windows import Windows

FRAMES_PER_SECOND: Final = 20
STREAMS: Final = 50
"""Each with one token a frame: 1,000 tokens a second."""
TOKENS_PER_STREAM: Final = 200
FILL_SECONDS: Final = 120
MEASURED_SECONDS: Final = 60
MANY_WINDOWS: Final = 10_000
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
    """One pass over MANY_WINDOWS windows of different readings and lengths."""

    @property
    def budgets(self) -> list[Budget]:
        what = f"daemon's share of a core at {self.tokens_per_second:,} tokens/s (facts, windows, rules)"
        return [
            Budget(what=what, limit=5, measured=self.core_share * 100, unit="%"),
            Budget(what=f"tick over {MANY_WINDOWS:,} windows", limit=50, measured=self.many_windows_ms, unit="ms"),
        ]


class _CountingWindows(Windows):
    reads = 0

    def read(self, name: str, over: float, now: float) -> Reading:
        self.reads += 1
        return super().read(name, over, now)


class _Traffic:
    """The frames of one relay worker, as bytes."""

    def __init__(self) -> None:
        self._sequence = 0
        self._age = [n * TOKENS_PER_STREAM // STREAMS for n in range(STREAMS)]
        self._ids = list(range(STREAMS))

    def frame(self, at: float) -> bytes:
        self._sequence += 1
        news = [self._news(stream, at) for stream in range(STREAMS)]
        return frame(
            RelayFrame(at=at, worker=0, pid=1, sequence=self._sequence, open_exchanges=STREAMS, counters={}, news=news)
        )

    def _news(self, stream: int, at: float) -> ExchangeNews:
        """One more token; an exchange that has all of them ends, and the next frame begins another."""
        age = self._age[stream]
        id, first = f"0.1-{self._ids[stream]}", age == 0 or self._sequence == 1
        last = age == TOKENS_PER_STREAM - 1
        self._age[stream] = 0 if last else age + 1
        self._ids[stream] += STREAMS if last else 0
        return ExchangeNews(
            id=id,
            opened=Opened(at - 0.04, "/v1/chat/completions", "bench", True, "", 300) if first else None,
            first_token_at=at if first else None,
            first_tokens=1 if first else 0,
            last_token_at=at,
            gaps_ns=[] if first else [_GAP_NS + stream * 10_000],
            tokens=[] if first else [1],
            closed=Closed(at, Ending.COMPLETE, 200, TOKENS_PER_STREAM, 24, "length") if last else None,
        )


def measure() -> DaemonCost:
    """Takes a few seconds of CPU."""
    machine = this_machine({})
    loaded = load(None, {})
    clock = HandClock()
    windows = _CountingWindows(loaded.window_settings())
    pipeline = Pipeline(
        settings=loaded.settings,
        rules=loaded.rules,
        windows=windows,
        load=LoadExplainsLatency("bench", loaded.load_settings()),
        clock=clock,
        board=Board(target="bench", version=__version__, mode="observe", profile="safe", started=clock.now()),
        submit=lambda event: None,
        lease_held=lambda: True,
    )
    deframer: Deframer[RelayFrame] = Deframer(msgspec.msgpack.Decoder(RelayFrame))
    at = clock.now().boot
    pipeline.on_fact(RelayHello(at=at, worker=0, pid=1, version="", listening="", upstream=""))
    traffic, cpu, ticks = _Traffic(), 0.0, list[int]()
    for second in range(FILL_SECONDS + MEASURED_SECONDS):
        frames = [traffic.frame(clock.now().boot + n / FRAMES_PER_SECOND) for n in range(FRAMES_PER_SECOND)]
        clock.advance(1.0)
        before = _cpu_seconds()
        for data in frames:
            for fact in deframer.feed(data):
                pipeline.on_fact(fact)
        windows.reads = 0
        began = boottime_ns()
        pipeline.tick()
        took = boottime_ns() - began
        if second >= FILL_SECONDS:
            cpu += _cpu_seconds() - before
            ticks.append(took)
    return DaemonCost(
        machine=machine,
        tokens_per_second=STREAMS * FRAMES_PER_SECOND,
        core_share=cpu / MEASURED_SECONDS,
        tick_ms=median(ticks) / 1e6,
        windows_per_tick=windows.reads,
        many_windows_ms=_many(windows, clock.now().boot, loaded.window_settings().longest_window_seconds),
    )


def _many(windows: Windows, now: float, longest: float) -> float:
    names = list(READINGS)
    began = boottime_ns()
    for number in range(MANY_WINDOWS):
        windows.read(names[number % len(names)], 10 + (longest - 10) * number / MANY_WINDOWS, now)
    return (boottime_ns() - began) / 1e6


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
