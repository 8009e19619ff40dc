"""Facts in, evidence out: windows → readings → rules → machine. Connects, decides nothing.

A tick reads every reading that a rule or the console wants, evaluates the rules on them, submits one ``Evidence`` to
the machine, and answers with what it found. A tick that comes too late says so as a fact, and the windows over the gap
are UNKNOWN: a watcher that froze must not blame the engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from watchtower.detectors.load_explains_latency import LoadNow
from watchtower.ports import Clock
from watchtower.remediation.interface import Canaried, EngineObserved, Event, Evidence, Rounded
from watchtower.remediation.state import HeldLease
from watchtower.rules.ruleset import ReadReading, Ruleset
from watchtower.services.judging.baseline_learning import BaselineLearner
from watchtower.services.judging.evaluation import Evaluation
from watchtower.services.judging.gpu_document import gpu_document
from watchtower.services.judging.shown_windows import longest_window, shown_windows
from watchtower.settings import Settings
from watchtower.vocabulary.facts import AnyFact, CanaryEnded, CanaryRound, EngineSeen, LoopLagged
from watchtower.vocabulary.histograms import Exemplar, HistogramTotals
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.readings import Explanation, Reading, RuleVerdict
from watchtower.vocabulary.reasons import loudest
from watchtower.vocabulary.signals import Signal
from watchtower.windows.totals import LatencyTotals
from watchtower.windows.windows import Windows

LOAD_EXPLAINS_LATENCY = "load_explains_latency"
LATENCY = "inter_token_latency_seconds.p95"
UTILIZATION = Signal("gpu_utilization.spread")
LOAD = (
    *(Signal("exchanges.open"), Signal(LATENCY), Signal("token_progress.rate")),
    *(Signal("exchanges.arrival_rate"), Signal("exchanges.prompt_rate")),
)
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
        learner: BaselineLearner,
        clock: Clock,
        submit: Callable[[Event], None],
        lease_held: Callable[[], bool],
        publish: Callable[[AnyFact], None] | None = None,
    ) -> None:
        """``publish``: takes a fact of our own and brings it back through ``on_fact``; None: nobody else wants it."""
        self._settings = settings
        self._rules = rules
        self._windows = windows
        self._learner = learner
        self._clock = clock
        self._submit = submit
        self._lease_held = lease_held
        self._publish = publish or self.on_fact
        self._states = rules.initial()
        self._over = longest_window(rules)
        self._shown = shown_windows(rules)
        self._last_tick: float | None = None
        self.verdicts: tuple[RuleVerdict, ...] = ()
        """Of the newest tick."""

    def on_fact(self, fact: AnyFact) -> None:
        self._windows.absorb(fact)
        match fact:
            case EngineSeen():
                self._submit(EngineObserved(fact))
            case CanaryEnded():
                self._submit(Canaried(fact))
            case CanaryRound():
                self._submit(Rounded(fact))
            case _:
                pass

    def tick(self) -> Evaluation:
        """Evaluate every rule once."""
        now = self._clock.now()
        lag = self._notice_own_lag(now.boot)
        cache: dict[tuple[Signal, float], Reading] = {}

        def read(signal: Signal, over: float) -> Reading:
            if (signal, over) not in cache:
                cache[signal, over] = self._windows.read(signal, over, now.boot)
            return cache[signal, over]

        def condition(name: str) -> Explanation:
            if name != LOAD_EXPLAINS_LATENCY:
                raise LookupError(f"nobody answers the condition {name}")
            return self._learner.explain(self._load_now(read))

        self._states, verdicts = self._rules.evaluate(read, condition, self._states, now.boot)
        self._learner.look(now, self._load_now(read), verdicts)
        self.verdicts = verdicts
        evaluation = self._evaluation(now, tuple(read(signal, over) for signal, over in self._shown.items()), lag)
        clean = self._windows.clean_since
        self._submit(
            Evidence(
                verdicts=verdicts,
                window_clean_since=clean if math.isfinite(clean) else None,
                lease=HeldLease() if self._lease_held() else None,
            )
        )
        return evaluation

    def _notice_own_lag(self, now: float) -> float:
        """Seconds by which this tick is late; a fact, like any other, when it is too much."""
        late = 0.0 if self._last_tick is None else now - self._last_tick - self._settings.tick_seconds
        if late > self._settings.remediation.loop_lag_seconds:
            self._publish(LoopLagged(at=now, seconds=late))
        self._last_tick = now
        return max(0.0, late)

    def _load_now(self, read: ReadReading) -> LoadNow:
        load, latency, tokens, arrivals, prompts = now = [read(signal, self._over) for signal in LOAD]
        return LoadNow(
            open_exchanges=load.value,
            p95_seconds=latency.value,
            tokens_per_second=tokens.value,
            arrivals_per_second=arrivals.value,
            prompt_bytes_per_second=prompts.value,
            reason=loudest(reading.reason for reading in now if reading.reason is not None),
        )

    def _evaluation(self, now: Instant, readings: tuple[Reading, ...], lag: float) -> Evaluation:
        totals = {family: self._windows.totals_for_export(family).models for family in EXPORTED}
        return Evaluation(
            at=now,
            readings=readings,
            verdicts=self.verdicts,
            inter_token_p95=next((reading.value for reading in readings if reading.name == LATENCY), None),
            histograms={
                family: {model: _exported(latency, now) for model, latency in models.items()}
                for family, models in totals.items()
            },
            gpus=gpu_document(self._windows.gpus, self._settings.placement, self._shown[UTILIZATION], now.boot),
            lag_seconds=lag,
            took_seconds=self._clock.now().boot - now.boot,
        )


def _exported(totals: LatencyTotals, now: Instant) -> HistogramTotals:
    *counts, count = totals.cumulative()
    began = now.wall - now.boot
    return HistogramTotals(
        totals.bounds,
        tuple(counts),
        count,
        totals.sum_seconds,
        tuple(found and Exemplar(found.trace_id, found.seconds, began + found.at) for found in totals.examples),
        dict(totals.bins),
    )
