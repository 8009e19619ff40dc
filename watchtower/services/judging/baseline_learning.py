"""How slow the engine is at which load: learned only while nothing is wrong, and remembered over a restart.

What was learned explains latency that load explains (``detectors.load_explains_latency``); learned in a bad hour it
would explain every later one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import structlog

from watchtower.detectors.load_explains_latency import LoadExplainsLatency, LoadNow
from watchtower.detectors.load_settings import LoadSettings
from watchtower.storage.baseline_file import BaselineFile
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.readings import Explanation, RuleVerdict, Verdict

log = structlog.get_logger("watchtower.baseline")


class BaselineLearner:
    """``explain`` is the rules' condition; ``look`` is called once a tick."""

    def __init__(
        self, load: LoadExplainsLatency, *, incident_open: Callable[[], bool], file: BaselineFile | None = None
    ) -> None:
        """``incident_open``: as committed. ``file`` None: nothing is remembered."""
        self._load = load
        self._incident_open = incident_open
        self._file = file

    def restore(self) -> None:
        """Take up what an earlier run learned about the same engine; refused, it is learned again."""
        if self._file and (stored := self._file.read()) and (because := self._load.load(stored)):
            log.warning("baseline.refused", because=because)

    def save(self) -> None:
        if self._file:
            self._file.write(self._load.dump())

    def explain(self, now: LoadNow) -> Explanation:
        return self._load.explain(now)

    def look(self, at: Instant, now: LoadNow, verdicts: Iterable[RuleVerdict]) -> None:
        """Learn from this tick, unless a rule breaches or an incident is open."""
        if self._incident_open() or any(found.verdict is Verdict.BREACH for found in verdicts):
            self._load.disturbed()
        else:
            self._load.learn(at, now)


def baseline_learner(
    engine: str, knobs: LoadSettings, *, incident_open: Callable[[], bool], file: BaselineFile | None = None
) -> BaselineLearner:
    """``engine``: whose baseline it is; that of another engine is refused."""
    return BaselineLearner(LoadExplainsLatency(engine, knobs), incident_open=incident_open, file=file)
