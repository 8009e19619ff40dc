from __future__ import annotations

from pathlib import Path

import pytest

from watchtower.profiles import _LOOSER, DEMO, loosened, value_at
from watchtower.rules.rule_files import load_rules, shipped_rules
from watchtower.services.loading import load
from watchtower.settings import Settings
from watchtower.vocabulary.errors import BadInput


def test_every_path_of_the_profiles_exists() -> None:
    for path in (*(change.path for change in DEMO), *_LOOSER):
        value_at(Settings(), path)


def test_safe_loosens_nothing() -> None:
    assert loosened(Settings()) == []


def test_demo_lists_what_it_loosened_with_both_values() -> None:
    found = {path: (safe, used) for path, safe, used in load(None, {}, {"remediation.profile": "demo"}).loosened}
    assert found["remediation.cooldown_seconds"] == (900.0, 10.0)
    assert found["remediation.single_replica"] == ("refuse", "allow")


def test_a_limit_loosened_by_hand_is_listed_and_a_tightened_one_is_not() -> None:
    written = {"remediation.restarts_per_hour": "9", "remediation.restarts_per_day": "1"}
    assert load(None, {}, written).loosened == [("remediation.restarts_per_hour", 2, 9)]


@pytest.mark.parametrize("profile", ["safe", "demo"])
def test_both_profiles_are_consistent_with_their_rules(profile: str) -> None:
    assert load(None, {}, {"remediation.profile": profile}).rules.slowest() is not None


def test_demo_times_with_the_rules_of_a_real_server_contradict_and_say_so(tmp_path: Path) -> None:
    file = tmp_path / "watchtower.yaml"
    file.write_text(f"rules: [{shipped_rules() / 'triad.yaml'}]\nremediation:\n  profile: demo\n")
    with pytest.raises(BadInput, match="meaning_drift looks back") as refused:
        load(file, {})
    assert {problem.where for problem in refused.value.problems} == {"profile demo"}


def test_both_shipped_rule_sets_have_the_same_rules_and_limits() -> None:
    triad, demo = (load_rules([shipped_rules() / name]).rules for name in ("triad.yaml", "demo.yaml"))
    assert [(rule.name, rule.cure, rule.severity) for rule in triad] == [
        (rule.name, rule.cure, rule.severity) for rule in demo
    ]


def test_rules_are_found_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("version: 1\nrules:\n  - name: mine\n    when: engine_waiting > 9\n")
    file = tmp_path / "watchtower.yaml"
    file.write_text("rules: [mine.yaml]\n")
    loaded = load(file, {})
    assert [rule.name for rule in loaded.rules.rules] == ["mine"]
    assert loaded.sources == (file, tmp_path / "mine.yaml")


def test_mistakes_of_configuration_and_rules_come_together(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("version: 1\nrules:\n  - name: mine\n    when: engine_wating > 9\n")
    file = tmp_path / "watchtower.yaml"
    file.write_text("rules: [mine.yaml, absent.yaml]\n")
    with pytest.raises(BadInput) as refused:
        load(file, {})
    assert [Path(problem.where.split(":")[0]).name for problem in refused.value.problems] == [
        "watchtower.yaml",
        "mine.yaml",
    ]


def test_two_files_may_not_name_the_same_rule(tmp_path: Path) -> None:
    rule = "version: 1\nrules:\n  - name: mine\n    when: engine_waiting > 9\n"
    (tmp_path / "a.yaml").write_text(rule)
    (tmp_path / "b.yaml").write_text(rule)
    with pytest.raises(BadInput, match="two files have a rule of this name"):
        load_rules([tmp_path / "a.yaml", tmp_path / "b.yaml"])
