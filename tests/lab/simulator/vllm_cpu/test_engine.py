import subprocess
from pathlib import Path

import pytest

from watchtower.lab.simulator.vllm_cpu import engine

INSTALL = Path(engine.__file__).parent / "install.sh"


def test_the_environment_can_be_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WATCHTOWER_VLLM_VENV", str(tmp_path))
    assert engine.venv() == tmp_path
    monkeypatch.delenv("WATCHTOWER_VLLM_VENV")
    assert engine.venv() == Path.home() / ".cache/watchtower/vllm-cpu"


def test_a_complete_environment_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".complete-0.32.0").touch()
    monkeypatch.setenv("WATCHTOWER_VLLM_VENV", str(tmp_path))
    assert engine.install() == tmp_path
    assert [entry.name for entry in tmp_path.iterdir()] == [".complete-0.32.0"]


def test_a_failed_installation_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WATCHTOWER_VLLM_VENV", str(tmp_path / "venv"))
    monkeypatch.setenv("PYTHON", "false")
    with pytest.raises(engine.NoVllm, match="status 1"):
        engine.install()


def test_the_installer_is_sound_shell() -> None:
    subprocess.run(["bash", "-n", str(INSTALL)], check=True)


def test_every_rank_has_its_own_core_and_nothing_is_downloaded() -> None:
    assert engine.variables(ranks=2)["VLLM_CPU_OMP_THREADS_BIND"] == "0|1"
    assert engine.variables()["HF_HUB_OFFLINE"] == "1"


def test_it_listens_on_loopback_only_and_serves_the_weights_it_was_given(tmp_path: Path) -> None:
    command = engine.command(tmp_path / "w", 8123, tmp_path)
    assert command[:3] == (str(tmp_path / "bin/vllm"), "serve", str(tmp_path / "w"))
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--tensor-parallel-size") + 1] == "2"


def test_a_checkpoint_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    assert engine.checkpoint(tmp_path, 0, tmp_path / "no-environment") == tmp_path
