"""The units, as systemd reads them. Run they are in tests/e2e/test_service_manager.py, without systemd as PID 1."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deployment.files import EXAMPLES, SYSTEMD, read

UNITS = (SYSTEMD / "watchtower.service", SYSTEMD / "watchtower.socket", EXAMPLES / "systemd" / "vllm.service")
WORST_EXPOSURE = 2.5
"""Of systemd-analyze security, 0 to 10; a daemon without any directive has 9.6."""


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path)
    return parser


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units with a program that exists here: systemd-analyze looks for it."""
    for path in UNITS:
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", path.read_text(encoding="utf-8"), flags=re.M)
        (tmp_path / path.name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", [path.name for path in UNITS])
def test_systemd_understands_every_line(name: str, installed: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", installed / name],
        capture_output=True,
        text=True,
        check=False,
        env={"SYSTEMD_UNIT_PATH": f"{installed}:", "PATH": "/usr/bin:/bin"},
    )
    ours = [line for line in (checked.stdout + checked.stderr).splitlines() if name in line]
    assert (checked.returncode, ours) == (0, [])


def test_the_daemon_is_shut_in(installed: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", installed / "watchtower.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    exposure = re.search(r"Overall exposure level.*?: ([\d.]+)", rated.stdout)
    assert exposure is not None, rated.stderr
    assert float(exposure[1]) <= WORST_EXPOSURE, rated.stdout


def test_relay_keeper_and_engine_outlive_the_daemon_and_mistakes_are_not_repeated() -> None:
    service = unit(UNITS[0])["Service"]
    assert service["KillMode"] == "process"
    assert service["RestartPreventExitStatus"] == "2 5"
    assert service["Type"] == "notify" and service["WatchdogSec"]


def test_the_socket_is_where_the_example_listens() -> None:
    configured = read(EXAMPLES / "systemd" / "watchtower.yaml")
    assert unit(UNITS[1])["Socket"]["ListenStream"] == configured["relay"]["listen"]
    assert configured["state_directory"] == f"/var/lib/{unit(UNITS[0])['Service']['StateDirectory']}"
