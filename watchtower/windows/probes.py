"""What our own probes said: the newest canaries, and the newest scrape of the engine's metrics.

``canary.unanswered`` is an unbroken run of canaries without an answer, from the start of its first to the newest
evidence of its last (now, while one runs): one hung canary reads its deadline, a hang goes on growing, the next
canary does not set it back to zero. A refused or broken canary belongs to the run only if this incarnation has
served one before: a dead engine must be seen, but a wrong model name or key must not look like one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from watchtower.vocabulary.facts import CanaryEnded, CanaryOutcome, CanaryStarted, EngineScrape
from watchtower.vocabulary.reasons import Reason, ReasonKind

LOST_SECONDS: Final = 60.0
"""A canary that runs for longer has lost its reporter: canaries end at their deadline, far below this."""


@dataclass(frozen=True, slots=True)
class Probed:
    """A number, or why there is none."""

    value: float | None
    reason: Reason | None = None
    remark: str = ""
    samples: int = 0


def no_value(kind: ReasonKind, text: str, part: str) -> Probed:
    """UNKNOWN, and why."""
    return Probed(None, Reason(kind, text, part))


class CanaryHistory:
    """One-token requests of ours, in the order they were started."""

    def __init__(self) -> None:
        self.reset(-math.inf)

    def reset(self, mark: float) -> None:
        """Nothing started before ``mark`` counts any more (restart of the engine, gap in our own attention)."""
        self._mark = mark
        self._running: CanaryStarted | None = None
        self._last: CanaryEnded | None = None
        self._served: CanaryEnded | None = None
        self._run_began: float | None = None
        self._run = 0

    def started(self, fact: CanaryStarted) -> None:
        if fact.at >= self._mark and (self._running is None or fact.at >= self._running.at):
            self._running = fact

    def ended(self, fact: CanaryEnded) -> None:
        sane = math.isfinite(fact.seconds) and math.isfinite(fact.started_at) and fact.seconds >= 0
        if self._running is not None and self._running.id == fact.id:
            self._running = None
        if not sane or fact.started_at < self._mark or fact.outcome is CanaryOutcome.UNKNOWN:
            return  # UNKNOWN: we could not ask, which says nothing about the engine
        if self._last is not None and fact.started_at <= self._last.started_at:
            return
        self._last = fact
        if fact.outcome is CanaryOutcome.SERVED:
            self._served, self._run_began, self._run = fact, None, 0
        elif fact.outcome is CanaryOutcome.HUNG or self._served is not None:
            self._run_began = fact.started_at if self._run_began is None else self._run_began
            self._run += 1

    def unanswered(self, over: float, now: float) -> Probed:
        """Seconds without any answer. UNKNOWN when the newest evidence is older than ``over``."""
        if self._running is not None:
            if now - self._running.at > max(over, LOST_SECONDS):
                return _canary(ReasonKind.UNREADABLE, "the newest canary was started and never reported back")
            begun = self._run_began if self._fresh(over, now) else None
            return Probed(max(0.0, now - (self._running.at if begun is None else begun)), samples=self._run + 1)
        if self._last is None:
            return _canary(ReasonKind.TOO_FEW, "no canary has ended yet")
        if not self._fresh(over, now):
            age = now - self._last.at
            return _canary(ReasonKind.TOO_FEW, f"the newest canary ended {age:.0f} s ago, before the window")
        if self._last.outcome is CanaryOutcome.SERVED:
            return Probed(0.0, samples=1)
        if self._run_began is None:
            never = f"no canary was ever served by this engine, and the newest was {self._last.outcome}{self._why()}"
            return _canary(ReasonKind.UNREADABLE, never)
        return Probed(max(0.0, self._last.started_at + self._last.seconds - self._run_began), samples=self._run)

    def latency(self, over: float, now: float) -> Probed:
        if self._served is None:
            return _canary(ReasonKind.TOO_FEW, "no canary was served yet")
        if now - self._served.at > over:
            age = now - self._served.at
            return _canary(ReasonKind.TOO_FEW, f"the newest served canary is {age:.0f} s old")
        return Probed(self._served.seconds, samples=1)

    def _fresh(self, over: float, now: float) -> bool:
        return self._last is not None and now - self._last.at <= over

    def _why(self) -> str:
        return f": {self._last.because}" if self._last is not None and self._last.because else ""


def _canary(kind: ReasonKind, text: str) -> Probed:
    return no_value(kind, text, "canary")


class Scrapes:
    """The newest scrape of the engine's own metrics. A hint: in a real hang the engine's gauges read 0."""

    def __init__(self) -> None:
        self._newest: EngineScrape | None = None

    def scraped(self, fact: EngineScrape) -> None:
        if self._newest is None or fact.at >= self._newest.at:
            self._newest = fact

    def read(self, field: str, over: float, now: float, since: float) -> Probed:
        """``field`` of the newest scrape, if it is inside the window and not older than ``since``."""
        newest = self._newest
        if newest is None:
            return _scrape(ReasonKind.TOO_FEW, "the engine's metrics were never read")
        if now - newest.at > over:
            return _scrape(ReasonKind.UNREADABLE, f"the newest scrape is {now - newest.at:.0f} s old")
        if newest.at < since:
            return _scrape(ReasonKind.WARMING, "the newest scrape is from before the engine restarted")
        if not newest.ok:
            because = newest.because or "no reason given"
            return _scrape(ReasonKind.UNREADABLE, f"the engine's metrics cannot be read: {because}")
        value: float | None = getattr(newest, field)
        if value is None:
            return _scrape(ReasonKind.NOT_CONFIGURED, "the engine does not report it")
        if not math.isfinite(value) or value < 0:
            return _scrape(ReasonKind.UNREADABLE, "the engine reports no sane number")
        return Probed(value, samples=1)


def _scrape(kind: ReasonKind, text: str) -> Probed:
    return no_value(kind, text, "scrape")
