"""Facts in, evidence out: windows → readings → rules → machine. Connects, decides nothing.

A tick reads every reading that a rule or the console wants, evaluates the rules on them, publishes both on the board,
and submits one ``Evidence``. A tick that comes too late says so as a fact, and the windows over the gap are UNKNOWN:
a watcher that froze must not blame the engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from watchtower.board import Board, Exemplar, HistogramTotals
from watchtower.detectors.load_explains_latency import LoadExplainsLatency, LoadNow
from watchtower.ports import Clock
from watchtower.remediation.interface import Canaried, EngineObserved, Event, Evidence, Rounded
from watchtower.rules.ruleset import ReadReading, Ruleset
from watchtower.services.judging.gpu_document import gpu_document
from watchtower.settings import Settings
from watchtower.vocabulary.actions import Incarnation
from watchtower.vocabulary.facts import (
    AnyFact,
    CanaryEnded,
    CanaryRound,
    EngineScrape,
    EngineSeen,
    LoopLagged,
    RelayFrame,
    RelayGone,
)
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.readings import READINGS, Explanation, Reading, RuleVerdict, Verdict
from watchtower.vocabulary.reasons import loudest
from watchtower.vocabulary.words import DROPPED
from watchtower.windows.totals import LatencyTotals
from watchtower.windows.windows import Windows

REMEMBERED = 64
"""Relay processes whose last counts are kept, so that one that comes back is not counted twice."""
LATENCY = "inter_token_latency_seconds.p95"
LOAD = ("exchanges.open", LATENCY, "token_progress.rate", "exchanges.arrival_rate", "exchanges.prompt_rate")
"""What load is read from, in the order of ``LoadNow``."""
EXPORTED = ("inter_token_latency_seconds", "time_to_first_token_seconds")


class Pipeline:
    """``on_fact`` for everything that was seen; ``tick`` once per ``tick_seconds``."""

    def __init__(
        self,
        *,
        settings: Settings,
        rules: Ruleset,
        windows: Windows,
        load: LoadExplainsLatency,
        clock: Clock,
        board: Board,
        submit: Callable[[Event], None],
        lease_held: Callable[[], bool],
        watch: Callable[[AnyFact], None] = lambda fact: None,
    ) -> None:
        """``watch`` sees every fact, too."""
        self._settings = settings
        self._rules = rules
        self._windows = windows
        self._load = load
        self._clock = clock
        self._board = board
        self._submit = submit
        self._lease_held = lease_held
        self._watch = watch
        self._states = rules.initial()
        slowest = rules.slowest()
        self._over = slowest.over if slowest else 60.0
        self._last_tick: float | None = None
        self._incarnation: Incarnation | None = None  # of the newest look that found one
        self._counted: dict[int, dict[str, int]] = {}  # by pid, newest last; kept over a lost connection

    def on_fact(self, fact: AnyFact) -> None:
        self._windows.absorb(fact)
        self._watch(fact)
        match fact:
            case EngineSeen():
                self._count_restart(fact)
                self._board.engine = fact
                self._submit(EngineObserved(fact))
            case CanaryEnded():
                self._submit(Canaried(fact))
            case CanaryRound():
                self._submit(Rounded(fact))
            case RelayFrame():
                self._count(fact)
                self._board.relay_frames[fact.pid] = fact
            case RelayGone():
                self._board.relay_frames.pop(fact.pid, None)
            case EngineScrape():
                self._board.engine_scrapes["ok" if fact.ok else "failed"] += 1
            case _:
                pass

    def tick(self, not_ready: str = "") -> None:
        """Evaluate every rule once. ``not_ready``: why the daemon is not ready; "" when it is."""
        now = self._clock.now()
        self._board.ready_because = not_ready
        self._notice_own_lag(now.boot)
        cache: dict[tuple[str, float], Reading] = {}

        def read(name: str, over: float) -> Reading:
            if (name, over) not in cache:
                cache[name, over] = self._windows.read(name, over, now.boot)
            return cache[name, over]

        def condition(name: str) -> Explanation:
            # the language knows one condition, and loading refuses any other name
            return self._load.explain(self._load_now(read))

        self._states, verdicts = self._rules.evaluate(read, condition, self._states, now.boot)
        self._learn(now, self._load_now(read), verdicts)
        self._publish(now, tuple(read(name, self._over) for name in READINGS), verdicts)
        clean = self._windows.clean_since
        self._submit(
            Evidence(
                verdicts=verdicts,
                window_clean_since=clean if math.isfinite(clean) else None,
                lease_held=self._lease_held(),
            )
        )

    def _count_restart(self, seen: EngineSeen) -> None:
        if seen.incarnation is not None:
            self._board.engine_restarts += self._incarnation not in (None, seen.incarnation)
            self._incarnation = seen.incarnation

    def _count(self, frame: RelayFrame) -> None:
        """Add what this relay process counted since its last frame."""
        now = {**frame.counters, DROPPED: frame.dropped_news}
        before = self._counted.pop(frame.pid, {})
        for name, value in now.items():
            self._board.relay_counts[name] = self._board.relay_counts.get(name, 0) + value - before.get(name, 0)
        self._counted[frame.pid] = now
        if len(self._counted) > REMEMBERED:
            del self._counted[next(iter(self._counted))]

    def _notice_own_lag(self, now: float) -> None:
        if self._last_tick is not None:
            late = now - self._last_tick - self._settings.tick_seconds
            self._board.loop_lag_seconds = max(0.0, late)
            if late > self._settings.remediation.loop_lag_seconds:
                lagged = LoopLagged(at=now, seconds=late)
                self._windows.absorb(lagged)
                self._watch(lagged)
        self._last_tick = now

    def _load_now(self, read: ReadReading) -> LoadNow:
        load, latency, tokens, arrivals, prompts = now = [read(name, self._over) for name in LOAD]
        return LoadNow(
            open_exchanges=load.value,
            p95_seconds=latency.value,
            tokens_per_second=tokens.value,
            arrivals_per_second=arrivals.value,
            prompt_bytes_per_second=prompts.value,
            reason=loudest(reading.reason for reading in now if reading.reason is not None),
        )

    def _learn(self, now: Instant, seen: LoadNow, verdicts: tuple[RuleVerdict, ...]) -> None:
        """The baseline learns only while nothing is wrong: no breach, no incident."""
        if self._board.incident is not None or any(verdict.verdict is Verdict.BREACH for verdict in verdicts):
            self._load.disturbed()
        else:
            self._load.learn(now, seen)

    def _publish(self, now: Instant, readings: tuple[Reading, ...], verdicts: tuple[RuleVerdict, ...]) -> None:
        board = self._board
        board.readings, board.verdicts = readings, verdicts
        board.gpus = gpu_document(self._windows.gpus, self._settings.placement, self._over, now.boot)
        for family in EXPORTED:
            totals = self._windows.totals_for_export(family)
            board.histograms[family] = {model: _published(one, now) for model, one in totals.models.items()}
        board.latency.append((now.wall, next((one.value for one in readings if one.name == LATENCY), None)))
        board.last_tick, board.ticks = now, board.ticks + 1
        board.evaluation_seconds = self._clock.now().boot - now.boot


def _published(totals: LatencyTotals, now: Instant) -> HistogramTotals:
    *counts, count = totals.cumulative()
    return HistogramTotals(
        totals.bounds,
        tuple(counts),
        count,
        totals.sum_seconds,
        tuple(one and Exemplar(one.trace_id, one.seconds, now.wall - (now.boot - one.at)) for one in totals.examples),
        dict(totals.bins),
    )
