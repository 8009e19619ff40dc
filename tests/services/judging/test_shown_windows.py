"""One gauge, one window: what is shown beside a rule is over the window that the rule judges."""

from __future__ import annotations

import pytest

from watchtower.rules.rule_files import load_rules, read_rules, shipped_rules
from watchtower.rules.ruleset import Ruleset
from watchtower.services.judging.shown_windows import shown_windows
from watchtower.vocabulary.readings import READINGS
from watchtower.vocabulary.signals import Signal

OWN = """
version: 1
rules:
  - {name: tagged, when: inter_token_latency_seconds.p95 > 1s, over: 10s, tag: live}
  - {name: slow, when: inter_token_latency_seconds.p95 > 1s, over: 2m}
  - {name: slower, when: inter_token_latency_seconds.p95 > 2s, over: 20m}
  - {name: drift, when: similarity.mean < 0.9, over: 1h, then: rollback}
"""


def test_every_reading_has_one_window() -> None:
    assert set(shown_windows(load_rules([shipped_rules() / "triad.yaml"]))) == set(map(Signal, READINGS))


@pytest.mark.parametrize("file", ["triad.yaml", "demo.yaml"])
def test_what_a_shipped_rule_compares_is_shown_over_the_window_of_a_rule_that_compares_it(file: str) -> None:
    rules = load_rules([shipped_rules() / file])
    shown, judged = shown_windows(rules), rules.windows()
    own = [name for name in judged if not name.startswith(("canary", "engine"))]
    assert len(own) >= 8
    assert {name: shown[Signal(name)] for name in own} == {name: judged[name] for name in own}


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("inter_token_latency_seconds.p95", 120),  # of all traffic, and the first
        ("inter_token_latency_seconds.p50", 120),
        ("time_to_first_token_seconds.p95", 120),  # of the same minutes as its neighbour
        ("exchanges.arrival_rate", 120),
        ("similarity.floor", 3600),
        ("canary.latency", 3600),  # an age, not a window
        ("engine_waiting", 3600),
        ("gpu_utilization.spread", 3600),  # nobody judges it
    ],
)
def test_the_rest_is_shown_over_the_window_of_its_kin_or_the_longest_one(name: str, seconds: float) -> None:
    assert shown_windows(read_rules(OWN, "own.yaml"))[Signal(name)] == seconds


def test_without_an_acting_rule_the_window_is_a_minute() -> None:
    assert set(shown_windows(Ruleset()).values()) == {60.0}
