"""Each kind's own settings stand where the document names the kind, and a kind that does not exist is told once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest

from watchtower.adapters.engine.vllm import VllmEngineSettings
from watchtower.adapters.supervisor.none import NoSupervisorSettings
from watchtower.adapters.supervisor.process import ProcessSupervisorSettings
from watchtower.catalogue import CATALOGUE
from watchtower.configuration import read_yaml
from watchtower.configuration.kinds import composed, every_kind, plugin_mistakes
from watchtower.configuration.validating import validate
from watchtower.knobs import Mistake, SinkSettings
from watchtower.settings import Settings
from watchtower.sinks.log import LogSinkSettings
from watchtower.sinks.slack import SlackSinkSettings


def problems(text: str) -> list[str]:
    _, found = composed(read_yaml(text, "f.yaml"))
    return [str(problem) for problem in found]


def test_what_is_not_written_is_the_default_kind_of_its_own_type() -> None:
    model, found = composed(read_yaml("version: 1\n", "f.yaml"))
    settings = model()
    assert found == []
    assert isinstance(settings.engine, VllmEngineSettings)
    assert isinstance(settings.supervisor, NoSupervisorSettings)
    assert [type(sink) for sink in settings.sinks] == [LogSinkSettings]


def test_each_item_of_a_list_has_the_type_of_its_own_kind() -> None:
    tree = read_yaml(
        "sinks:\n- {kind: slack, url: 'https://x'}\n- {kind: log}\n- {kind: slack, url: x, name: b}\n", "f"
    )
    settings, found = validate(composed(tree)[0], tree)
    assert found == []
    assert settings is not None
    assert [type(sink) for sink in settings.sinks] == [SlackSinkSettings, LogSinkSettings, SlackSinkSettings]


def test_nobody_may_be_told() -> None:
    tree = read_yaml("sinks: []\n", "f.yaml")
    settings, _ = validate(composed(tree)[0], tree)
    assert settings is not None
    assert settings.sinks == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("engine: {kind: vlm}", "f.yaml:1 · engine.kind · unknown kind: vlm · did you mean vllm? one of: vllm"),
        ("engine:\n  kind:", "f.yaml:2 · engine.kind · nothing is written here · write its value, or remove the line"),
        ("engine: {kind: [vllm]}", "f.yaml:1 · engine.kind · not text · put it in quotes"),
        ("sinks:\n- {name: a}", "f.yaml:2 · sinks[0] · kind is missing · say which kind it is, e.g. kind: log"),
        (
            "supervisor: {kind: proces}",
            "f.yaml:1 · supervisor.kind · unknown kind: proces · did you mean process? one of: none, process",
        ),
    ],
)
def test_a_kind_that_cannot_be_has_its_place_and_its_cure(text: str, said: str) -> None:
    assert problems(text) == [said]


def test_below_a_kind_that_does_not_exist_nothing_else_is_complained_about() -> None:
    tree = read_yaml("supervisor: {kind: proces, comand: [x], term_seconds: never}\n", "f.yaml")
    model, unknown = composed(tree)
    _, found = validate(model, tree, unknown)
    assert [problem.path for problem in found] == ["supervisor.kind"]


@pytest.mark.parametrize("text", ["engine: word", "supervisor: [a]", "sinks: word", "sinks: [word]"])
def test_what_is_no_group_at_all_is_left_to_validation(text: str) -> None:
    tree = read_yaml(text, "f.yaml")
    model, unknown = composed(tree)
    assert unknown == []
    assert len(validate(model, tree)[1]) == 1


def test_the_same_kinds_are_the_same_type() -> None:
    first, _ = composed(read_yaml("version: 1\n", "a.yaml"))
    second, _ = composed(read_yaml("target: other\n", "b.yaml"))
    assert first is second
    assert issubclass(first, Settings)


def test_every_kind_that_we_have_stands_in_the_schema() -> None:
    groups = every_kind().model_json_schema()["$defs"].values()
    known = {group["properties"]["kind"].get("const") for group in groups if "kind" in group.get("properties", {})}
    assert known >= {kind for kinds in CATALOGUE.values() for kind in kinds}


def test_an_editor_is_told_what_each_kind_of_engine_and_supervisor_means() -> None:
    groups = every_kind().model_json_schema()["$defs"].values()
    told = {
        field["const"]: field.get("description")
        for group in groups
        if (field := group.get("properties", {}).get("kind"))
    }
    assert [kind for socket in ("engines", "supervisors") for kind in CATALOGUE[socket] if not told[kind]] == []


def test_what_a_plugin_finds_itself_gets_the_place_of_the_value() -> None:
    tree = read_yaml("sinks:\n- {kind: log}\n- kind: slack\n  url: nowhere\n", "f.yaml")
    settings, _ = validate(composed(tree)[0], tree)
    assert settings is not None
    (problem,) = plugin_mistakes(settings, tree)
    assert (problem.where, problem.path) == ("f.yaml:4", "sinks[1].url")


class Careless(SinkSettings):
    """Of a plug-in whose own check has a defect."""

    kind: Literal["careless"] = "careless"
    name: str = "careless"

    def mistakes(self) -> Iterator[Mistake]:
        raise ZeroDivisionError(self.name)


def test_a_plugin_that_fails_to_check_itself_is_a_mistake_with_its_place() -> None:
    tree = read_yaml("sinks:\n- {kind: careless}\n", "f.yaml")
    (problem,) = plugin_mistakes(Settings(sinks=(Careless(),)), tree)
    assert str(problem) == (
        "f.yaml:2 · sinks[0] · kind careless cannot check its settings: ZeroDivisionError · "
        f"mend {Careless.__module__}, which brings it"
    )


def test_a_process_needs_its_command() -> None:
    with pytest.raises(ValueError, match="needs the engine's command line"):
        ProcessSupervisorSettings()
