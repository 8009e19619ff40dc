from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from watchtower.programs.check import check, rules_test, schema
from watchtower.programs.timing import timings
from watchtower.rules.rule_files import shipped_rules
from watchtower.services.loading import load
from watchtower.vocabulary.errors import ExitCode


def console() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=60), text


def test_a_good_configuration_says_what_would_run() -> None:
    out, text = console()
    assert check(None, {}, out=out) is ExitCode.OK
    assert text.getvalue().startswith("ok · ")
    assert "may act: slow_tokens, hang, engine_gone, meaning_drift" in text.getvalue()
    assert "tells people and never acts" in text.getvalue()


def test_every_mistake_stands_on_one_line_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "watchtower.yaml"
    file.write_text("relay:\n  listne: x\n  guard: off\n")
    out, text = console()
    assert check(file, {}, out=out) is ExitCode.BAD_INPUT
    lines = text.getvalue().splitlines()
    assert lines[0] == f"{file}:2 · relay.listne · unknown name · did you mean listen?"
    assert lines[-1] == "2 mistakes"


def test_an_engine_that_is_not_spoken_is_refused_before_anything_runs(tmp_path: Path) -> None:
    file = tmp_path / "watchtower.yaml"
    file.write_text("engine:\n  kind: sglang\n")
    out, text = console()
    assert check(file, {}, out=out) is ExitCode.BAD_INPUT
    assert text.getvalue().startswith(f"{file}:2 · engine.kind · sglang is not spoken yet · known: vllm")


def test_json_lists_the_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "watchtower.yaml"
    file.write_text("version: 3\n")
    out, text = console()
    assert check(file, {}, as_json=True, out=out) is ExitCode.BAD_INPUT
    answer = json.loads(text.getvalue())
    assert answer["ok"] is False
    assert answer["problems"][0] == {
        "where": f"{file}:1",
        "path": "version",
        "what": "not a possible value: 3",
        "cure": "one of: 1",
    }


def test_loosened_limits_are_shown_with_both_values() -> None:
    out, text = console()
    check(None, {"WATCHTOWER__REMEDIATION__RESTARTS_PER_HOUR": "9"}, out=out)
    assert "remediation.restarts_per_hour: 2 → 9" in text.getvalue()


def test_timing_follows_the_rules_and_limits() -> None:
    loaded = load(None, {})
    rows = {row.rule: row for row in timings(loaded.settings, loaded.rules)}
    slow, hang = rows["slow_tokens"], rows["hang"]
    assert (slow.detect_fastest, slow.detect_typical) == (61.0, 121.0)
    assert hang.detect_fastest == 21.0
    assert hang.act_typical - hang.detect_typical == 1.0, "a hang is not drained"
    assert slow.verify_fastest == slow.act_fastest + loaded.settings.remediation.stabilization_seconds
    assert "no_progress_hint" not in rows


def test_the_demo_times_promise_what_the_demo_promises() -> None:
    loaded = load(None, {}, {"remediation.profile": "demo"})
    rows = {row.rule: row for row in timings(loaded.settings, loaded.rules)}
    assert rows["slow_tokens"].verify_typical <= 40
    assert rows["hang"].verify_typical <= 40
    assert rows["meaning_drift"].verify_typical <= 60


def test_timing_is_printed_and_in_the_json() -> None:
    out, text = console()
    check(None, {}, timing=True, out=out)
    assert "fastest / typical" in text.getvalue()
    out, text = console()
    check(None, {}, timing=True, as_json=True, out=out)
    assert {row["rule"] for row in json.loads(text.getvalue())["timing"]} >= {"slow_tokens", "hang"}


def schema_of(*, rules: bool) -> Any:
    out, text = console()
    assert schema(rules=rules, out=out) is ExitCode.OK
    return json.loads(text.getvalue())


def test_the_schema_knows_durations_and_companions() -> None:
    found = schema_of(rules=False)
    engine = found["$defs"]["VllmEngineSettings"]["properties"]
    assert engine["api_key_file"]["type"] == "string"
    assert "url_file" not in engine
    assert {option["type"] for option in engine["scrape_seconds"]["anyOf"]} == {"number", "string"}
    assert set(found["$defs"]["WebhookSinkSettings"]["required"]) == {"kind"}
    assert found["additionalProperties"] is False


def test_the_schema_of_rules_uses_the_words_of_the_file() -> None:
    rule = schema_of(rules=True)["$defs"]["RuleText"]["properties"]
    assert set(rule) == {"name", "when", "over", "for", "tag", "variant", "unless", "severity", "then", "summary"}


@pytest.mark.parametrize("name", ["triad.yaml", "demo.yaml"])
def test_the_shipped_rules_pass_their_own_tests_and_none_is_untested(name: str) -> None:
    out, text = console()
    assert rules_test([shipped_rules() / name], out=out) is ExitCode.OK
    assert "no test ever sees it breach" not in text.getvalue()


def test_a_failed_rule_test_is_exit_1_and_a_missing_one_exit_2(tmp_path: Path) -> None:
    rules = tmp_path / "mine.yaml"
    rules.write_text("version: 1\nrules:\n  - name: mine\n    when: engine_waiting > 9\n")
    out, _ = console()
    assert rules_test([rules], out=out) is ExitCode.BAD_INPUT
    tests = tmp_path / "mine.test.yaml"
    tests.write_text(
        "version: 1\ntests:\n  - name: full\n    readings: {engine_waiting: 10}\n"
        "    expect: [{at: 0s, rule: mine, verdict: ok}]\n"
    )
    out, text = console()
    assert rules_test([tests], out=out) is ExitCode.PROBLEM_FOUND
    assert f"{tests}:5: at 0 s mine is breach, expected ok" in text.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
def test_several_files_are_reported_together(as_json: bool) -> None:
    out, text = console()
    triad = shipped_rules() / "triad.yaml"
    assert rules_test([triad, triad.with_name("absent.yaml")], as_json=as_json, out=out) is ExitCode.BAD_INPUT
    assert "absent.yaml" in text.getvalue()
    assert "triad.test.yaml" in text.getvalue()
