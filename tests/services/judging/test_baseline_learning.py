"""Learned only while nothing is wrong; remembered for the same engine alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.services.judging.notebook import Notebook
from watchtower.detectors.load_explains_latency import LoadNow
from watchtower.detectors.load_settings import LoadSettings
from watchtower.services.judging.baseline_learning import BaselineLearner, baseline_learner
from watchtower.storage.baseline_file import BaselineFile
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.readings import RuleVerdict, Verdict

NOW = LoadNow(
    open_exchanges=8.0,
    p95_seconds=0.03,
    tokens_per_second=250.0,
    arrivals_per_second=2.0,
    prompt_bytes_per_second=400.0,
)


def verdict(found: Verdict) -> RuleVerdict:
    return RuleVerdict(rule="slow_tokens", verdict=found, firing=False)


@pytest.mark.parametrize(
    ("incident", "found", "learns"),
    [
        (False, Verdict.OK, True),
        (False, Verdict.UNKNOWN, True),
        (False, Verdict.BREACH, False),
        (True, Verdict.OK, False),
    ],
)
def test_a_breach_and_an_incident_are_no_normal_hour(incident: bool, found: Verdict, learns: bool) -> None:
    notebook = Notebook()
    learner = BaselineLearner(notebook, incident_open=lambda: incident)
    learner.look(HandClock().now(), NOW, [verdict(Verdict.OK), verdict(found)])
    assert (notebook.lessons, notebook.disturbances) == ((1, 0) if learns else (0, 1))


def test_what_was_learned_is_remembered_for_the_same_engine_alone(tmp_path: Path) -> None:
    clock, file = HandClock(), BaselineFile(tmp_path / "baseline.json")
    knobs = LoadSettings(minimum_blocks=2, block_seconds=1, quarantine_seconds=2)

    def learner(engine: str) -> BaselineLearner:
        return baseline_learner(engine, knobs, incident_open=lambda: False, file=file)

    first = learner("engine")
    for _ in range(40):
        first.look(clock.advance(1.0), NOW, [])
    first.save()
    same, other = learner("engine"), learner("another engine")
    fresh = other.explain(NOW)
    same.restore()
    other.restore()
    assert same.explain(NOW) == first.explain(NOW) != fresh
    assert other.explain(NOW) == fresh


def test_without_a_file_nothing_is_remembered() -> None:
    learner = baseline_learner("engine", LoadSettings(), incident_open=lambda: False)
    learner.restore()
    learner.save()
