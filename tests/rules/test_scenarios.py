from __future__ import annotations

import pytest

from watchtower.configuration import read_yaml
from watchtower.rules.rule_files import read_rules
from watchtower.rules.scenarios import Report, run_scenarios
from watchtower.vocabulary.errors import BadInput

RULES = read_rules(
    """
version: 1
rules:
  - {name: slow, when: inter_token_latency_seconds.p95 > 130ms, for: 5s, unless: load_explains_latency}
  - {name: drift, when: similarity.mean < 0.92}
""",
    "rules.yaml",
)
HEAD = "version: 1\ntests:\n  - name: it\n"


def run(body: str) -> Report:
    return run_scenarios(RULES, read_yaml(HEAD + body, "rules.test.yaml"))


def test_a_scenario_that_holds_passes() -> None:
    report = run(
        "    readings: {inter_token_latency_seconds.p95: 50ms x10 200ms x10}\n"
        "    conditions: {load_explains_latency: 'false x20'}\n"
        "    expect:\n"
        "      - {at: 9s, rule: slow, verdict: ok}\n"
        "      - {at: 14s, rule: slow, verdict: breach, firing: false}\n"
        "      - {at: 15s, rule: slow, verdict: breach, firing: true, held: false, says: 200 ms}\n"
    )
    assert report.passed
    assert report.silent == ["drift"]


@pytest.mark.parametrize(
    ("expectation", "said"),
    [
        ("{at: 15s, rule: slow, verdict: ok}", "is breach, expected ok"),
        ("{at: 14s, rule: slow, verdict: breach, firing: true}", "does not fire"),
        ("{at: 15s, rule: slow, verdict: breach, firing: false}", "fires, expected not to"),
        ("{at: 15s, rule: slow, verdict: breach, held: false}", "is held (load_explains_latency: no series"),
        ("{at: 15s, rule: slow, verdict: breach, says: bananas}", "does not say 'bananas'"),
        ("{at: 99s, rule: slow, verdict: breach}", "is unknown, expected breach"),
    ],
)
def test_one_that_does_not_fails_with_its_line(expectation: str, said: str) -> None:
    report = run(
        f"    readings: {{inter_token_latency_seconds.p95: 50ms x10 200ms x10}}\n    expect:\n      - {expectation}\n"
    )
    assert not report.passed
    failure = report.outcomes[0].failures[0]
    assert failure.where == "rules.test.yaml:6"
    assert said in failure.what


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("    expect: []\n", "tests[0].expect"),
        ("    expect: [{at: 5, rule: slow, verdict: ok}]\n", "write 5s"),
        ("    expect: [{at: 5s, rule: slwo, verdict: ok}]\n", "unknown: slwo · known: slow, drift"),
        ("    expect: [{at: 5s, rule: slow, verdict: okay}]\n", "did you mean ok?"),
        (
            "    readings: {similarity.men: 1}\n    expect: [{at: 5s, rule: slow, verdict: ok}]\n",
            "unknown: similarity.men",
        ),
        ("    readings: {similarity.mean: 5ms}\n    expect: [{at: 5s, rule: slow, verdict: ok}]\n", "is a time"),
        ("    readings: {similarity.mean: x9}\n    expect: [{at: 5s, rule: slow, verdict: ok}]\n", "repeats nothing"),
        ("    conditions: {load_explains_latency: maybe}\n    expect: [{at: 5s, rule: slow, verdict: ok}]\n", "maybe"),
        ("    expect: [{at: 20000000s, rule: slow, verdict: ok}]\n", "more than 100000"),
    ],
)
def test_a_wrong_test_file_is_bad_input_not_a_failed_test(body: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        run(body)
    assert said in str(refused.value)
