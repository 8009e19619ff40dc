"""Before anything runs: where things are, in which mode, and what is looser than safe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import structlog
import yaml

from watchtower.programs.run import configure_log, relay_alone, say_what_runs
from watchtower.services.loading import load
from watchtower.vocabulary.errors import BadInput


def config(directory: Path, **sections: object) -> Path:
    file = directory / "watchtower.yaml"
    file.write_text(yaml.safe_dump({"version": 1, "state_directory": str(directory / "state")} | sections))
    return file


def test_the_banner_names_every_address_the_state_and_the_mode(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = config(
        tmp_path,
        target="chat-7b",
        engine={"url": "http://127.0.0.1:8001"},
        relay={"listen": "127.0.0.1:8101"},
        web={"listen": "127.0.0.1:9471"},
    )
    say_what_runs(load(file, {}))
    told = capsys.readouterr()
    assert told.out == "", "standard output stays free"
    for part in (
        "target chat-7b",
        "clients → 127.0.0.1:8101 → engine http://127.0.0.1:8001",
        "http://127.0.0.1:9471/",
        f"state: {tmp_path / 'state'} · mode observe",
    ):
        assert part in told.err, part
    assert "looser" not in told.err


def test_the_banner_lists_every_limit_that_is_looser_than_safe_with_both_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load(config(tmp_path, remediation={"profile": "demo"}), {})
    say_what_runs(loaded)
    told = capsys.readouterr().err
    assert len(loaded.loosened) > 10
    assert told.count("looser than safe") == len(loaded.loosened)
    assert "remediation.cooldown_seconds = 10.0 (safe: 900.0)" in told


def test_overrides_from_the_command_line_win_and_are_what_the_banner_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    say_what_runs(load(config(tmp_path), {}, {"relay.listen": "127.0.0.1:8199"}))
    assert "127.0.0.1:8199" in capsys.readouterr().err


def test_secrets_are_not_in_the_banner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secrets = {"engine": {"api_key": "s3cr3t-key"}, "web": {"token": "s3cr3t-token"}}
    say_what_runs(load(config(tmp_path, **secrets), {}))
    assert "s3cr3t" not in "".join(capsys.readouterr())


def test_the_log_is_one_json_object_a_line_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        configure_log()
        structlog.get_logger("test").warning("odd", value=1)
        line = json.loads(capsys.readouterr().err)
    finally:
        structlog.reset_defaults()
    assert (line["event"], line["level"], line["value"]) == ("odd", "warning", 1)
    assert line["timestamp"].endswith("Z")


def test_a_relay_alone_is_refused_for_the_same_mistakes(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="relay"):
        relay_alone(config(tmp_path, relay={"lissten": "x"}), {})
    assert not (tmp_path / "state").exists()
