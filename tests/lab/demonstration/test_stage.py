from pathlib import Path

import pytest
import yaml

from watchtower.adapters.engine.vllm import VllmEngine, VllmEngineSettings
from watchtower.adapters.supervisor.process import ProcessSupervisorSettings
from watchtower.lab.demonstration.stage import (
    EnginePlan,
    configuration,
    make_secret,
    simulator_plan,
    vllm_plan,
    with_weights,
)
from watchtower.rules.rule_files import shipped_rules
from watchtower.services.loading import load


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> EnginePlan:
    """The plan for an environment that is complete on paper."""
    environment = tmp_path / "venv"
    weights = [(tmp_path / f"tiny-checkpoint-{seed}", "model.safetensors") for seed in (0, 1)]
    for directory, file in ((environment, ".complete-0.32.0"), *weights):
        directory.mkdir()
        (directory / file).touch()
    monkeypatch.setenv("WATCHTOWER_VLLM_VENV", str(environment))
    return vllm_plan(0)


def loads(plan: EnginePlan, directory: Path, mode: str) -> None:
    document = configuration(
        plan,
        directory,
        mode=mode,
        relay="127.0.0.1:1",
        web="127.0.0.1:2",
        notices="http://127.0.0.1:3/n",
        secret=make_secret(),
    )
    (directory / "watchtower.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    (directory / "rules.yaml").write_text((shipped_rules() / "demo.yaml").read_text())
    loaded = load(directory / "watchtower.yaml", {})
    assert loaded.settings.remediation.mode.value == mode
    assert isinstance(loaded.settings.supervisor, ProcessSupervisorSettings)
    assert loaded.settings.supervisor.command == plan.command
    assert {rule.name for rule in loaded.rules.rules} >= {"slow_tokens", "hang"}


@pytest.mark.parametrize("mode", ["auto", "observe"])
def test_the_simulators_configuration_is_one_that_watchtower_takes(tmp_path: Path, mode: str) -> None:
    loads(simulator_plan(0), tmp_path, mode)


def test_the_configuration_for_a_real_vllm_is_one_that_watchtower_takes(vllm: EnginePlan, tmp_path: Path) -> None:
    loads(vllm, tmp_path, "auto")


def test_every_demo_has_its_own_secret() -> None:
    assert make_secret() != make_secret()


def test_the_seed_reaches_the_engine() -> None:
    command = simulator_plan(41).command
    assert command[command.index("--seed") + 1] == "41"


def test_the_simulator_serves_a_checkpoint_that_can_be_loaded_again_and_another_lies_beside_it(tmp_path: Path) -> None:
    plan = with_weights(simulator_plan(0), tmp_path)
    assert plan.command[-2:] == ("--checkpoint", plan.weights)
    engine = VllmEngine(VllmEngineSettings())
    assert [engine.weights.cannot_load(path) for path in (plan.weights, plan.other_weights)] == ["", ""]
    assert plan.weights != plan.other_weights
    assert with_weights(plan, tmp_path) is plan
