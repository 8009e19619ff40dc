from pathlib import Path

import pytest
import yaml

from watchtower.daemon.loading import load
from watchtower.demonstration.stage import EnginePlan, configuration, make_secret, simulator_plan, vllm_plan
from watchtower.rules.loading import shipped_rules


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> EnginePlan:
    """The plan for an environment that is complete on paper."""
    environment, weights = tmp_path / "venv", tmp_path / "tiny-checkpoint-0"
    for directory, file in ((environment, ".complete-0.32.0"), (weights, "model.safetensors")):
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
    assert simulator_plan(41).command[-2:] == ("--seed", "41")
