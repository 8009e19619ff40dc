from __future__ import annotations

from pathlib import Path

import pytest

from watchtower.adapters.supervisor.process import ProcessSupervisorSettings
from watchtower.configuration import read_settings
from watchtower.configuration.layers import SettingsRead
from watchtower.settings import Settings
from watchtower.sinks.pagerduty import PagerDutySinkSettings


def read(folder: Path, text: str, environ: dict[str, str] | None = None, **overrides: str) -> SettingsRead:
    file = folder / "watchtower.yaml"
    file.write_text(text)
    return read_settings(file, environ or {}, {key.replace("__", "."): value for key, value in overrides.items()})


def good(result: SettingsRead) -> Settings:
    assert result.settings is not None, [str(problem) for problem in result.problems]
    return result.settings


def test_without_a_file_the_defaults_hold() -> None:
    settings = good(read_settings(None, {}))
    assert type(settings) is Settings
    assert settings.model_dump() == Settings().model_dump()
    assert [sink.kind for sink in settings.sinks] == ["log"]


def test_durations_are_numbers_or_written_with_a_unit(tmp_path: Path) -> None:
    settings = good(
        read(tmp_path, "engine:\n  scrape_seconds: 500ms\n  observe_seconds: 3\ncanary:\n  every_seconds: 5m\n")
    )
    assert (settings.engine.scrape_seconds, settings.engine.observe_seconds) == (0.5, 3.0)
    assert settings.canary.every_seconds == 300.0


def test_an_unquoted_number_in_a_command_is_the_text_that_was_written(tmp_path: Path) -> None:
    text = (
        "supervisor:\n  kind: process\n  command: [vllm, serve, --port, 8000, --x, 1e3, 0.90]\n  environment: {N: 04}\n"
    )
    settings = good(read(tmp_path, text))
    assert isinstance(settings.supervisor, ProcessSupervisorSettings)
    assert settings.supervisor.command == ("vllm", "serve", "--port", "8000", "--x", "1e3", "0.90")
    assert settings.supervisor.environment == {"N": "04"}


def test_variables_go_over_the_file_and_overrides_over_variables(tmp_path: Path) -> None:
    environ = {
        "WATCHTOWER__TARGET": "from-environment",
        "WATCHTOWER__RELAY__WORKERS": "3",
        "WATCHTOWER_PORT": "ignored",
    }
    settings = good(read(tmp_path, "target: from-file\nrelay:\n  guard: false\n", environ))
    assert (settings.target, settings.relay.workers, settings.relay.guard) == ("from-environment", 3, False)
    assert good(read(tmp_path, "target: x\n", environ, target="from-flag")).target == "from-flag"


def test_a_variable_reaches_into_a_list_by_index(tmp_path: Path) -> None:
    text = "sinks:\n  - kind: pagerduty\n"
    sink = good(read(tmp_path, text, {"WATCHTOWER__SINKS__0__ROUTING_KEY": "[not-yaml"})).sinks[0]
    assert isinstance(sink, PagerDutySinkSettings)
    assert sink.routing_key.get_secret_value() == "[not-yaml"


def test_a_variable_may_carry_a_list_or_a_mapping() -> None:
    environ = {
        "WATCHTOWER__SUPERVISOR__KIND": "process",
        "WATCHTOWER__SUPERVISOR__COMMAND": "[sleep, 10]",
        "WATCHTOWER__SUPERVISOR__ENVIRONMENT__CUDA_VISIBLE_DEVICES": "0",
    }
    supervisor = good(read_settings(None, environ)).supervisor
    assert isinstance(supervisor, ProcessSupervisorSettings)
    assert (supervisor.kind, supervisor.command) == ("process", ("sleep", "10"))
    assert supervisor.environment == {"CUDA_VISIBLE_DEVICES": "0"}


def test_a_sink_may_be_made_of_variables_alone_and_its_secret_is_taken_as_it_is() -> None:
    """What a variable means depends on the kind, which stands in a later one."""
    environ = {"WATCHTOWER__SINKS__0__KIND": "pagerduty", "WATCHTOWER__SINKS__0__ROUTING_KEY": "[not-yaml"}
    (sink,) = good(read_settings(None, environ)).sinks
    assert isinstance(sink, PagerDutySinkSettings)
    assert sink.routing_key.get_secret_value() == "[not-yaml"


def test_what_was_written_for_our_keeper_may_stay_while_it_is_switched_off(tmp_path: Path) -> None:
    settings = good(read(tmp_path, "supervisor:\n  kind: none\n  command: [vllm, serve]\n  term_seconds: 5s\n"))
    assert (settings.supervisor.kind, settings.supervisor.acts) == ("none", False)


def test_mistakes_that_a_sink_finds_itself_come_with_those_of_the_rules(tmp_path: Path) -> None:
    problems = read(tmp_path, "sinks:\n  - {kind: teams, url: here}\n  - {kind: slack, url: there}\n").problems
    assert [problem.path for problem in problems] == ["sinks[0].url", "sinks[1].url"]
    assert "here" not in "".join(map(str, problems))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WATCHTOWER__RELAY__LISTNE", "x", "did you mean listen?"),
        ("WATCHTOWER__RELAY__GUARD", "off", "write false"),
        ("WATCHTOWER__SINKS__1__KIND", "log", "indexes count from 0"),
        ("WATCHTOWER__TARGET__DEEPER", "x", "not text"),
        ("WATCHTOWER__", "x", "an empty name"),
        ("WATCHTOWER__RULES", "[a", "the bracket opened here is never closed"),
        ("WATCHTOWER__TARGET", "caf\udce9", "not UTF-8"),
    ],
)
def test_a_wrong_variable_is_told_by_its_name(name: str, value: str, said: str) -> None:
    problems = read_settings(None, {name: value}).problems
    assert [problem.where for problem in problems] == [f"environment {name}"]
    assert said in str(problems[0])


def test_a_secret_is_read_from_the_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("SECRET\n")
    settings = good(read(tmp_path, "engine:\n  api_key_file: key\n"))
    assert settings.engine.api_key is not None
    assert settings.engine.api_key.get_secret_value() == "SECRET"
    assert "SECRET" not in repr(settings)


def test_the_companion_may_come_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("SECRET")
    settings = good(read_settings(None, {"WATCHTOWER__WEB__TOKEN_FILE": str(tmp_path / "key")}))
    assert settings.web.token is not None
    assert settings.web.token.get_secret_value() == "SECRET"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * 70_000])
def test_a_file_that_is_no_secret_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    problems = read(tmp_path, "engine:\n  api_key_file: key\n").problems
    assert [problem.path for problem in problems] == ["engine.api_key_file"]
    assert "xxx" not in str(problems[0])


def test_the_demo_profile_replaces_defaults_and_not_what_was_written(tmp_path: Path) -> None:
    settings = good(read(tmp_path, "remediation:\n  profile: demo\n  soak_seconds: 7\n"))
    assert settings.remediation.soak_seconds == 7
    assert settings.remediation.cooldown_seconds == 10
    assert settings.relay.hold.wait_seconds == 45


def test_a_variable_counts_as_written(tmp_path: Path) -> None:
    environ = {"WATCHTOWER__REMEDIATION__PROFILE": "demo", "WATCHTOWER__RELAY__HOLD__WAIT_SECONDS": "9s"}
    assert good(read_settings(None, environ)).relay.hold.wait_seconds == 9


def test_an_engine_that_inherits_our_environment_gets_no_secret_of_this_configuration(tmp_path: Path) -> None:
    """Whatever the variable is called that it was made of; the engine's own key it may have."""
    secret = "whsec_c2VzYW1lc2VzYW1lc2VzYW1lc2VzYW1l"
    text = (
        "engine: {api_key: engine-key}\n"
        "supervisor: {kind: process, command: [vllm], withhold: [CLOUD_*]}\n"
        "sinks: [{kind: webhook, name: pager, url: 'http://127.0.0.1:1/'}]\n"
    )
    environ = {
        "WATCHTOWER__SINKS__0__SECRET": secret,
        "PAGER_SECRET": secret,
        "VLLM_API_KEY": "engine-key",
        "HF_HOME": "/models",
    }
    supervisor = good(read(tmp_path, text, environ)).supervisor
    assert isinstance(supervisor, ProcessSupervisorSettings)
    assert supervisor.withhold == ("CLOUD_*", "PAGER_SECRET")
