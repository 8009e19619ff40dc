"""What a service manager hears."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from watchtower.daemon.service_manager import ServiceManager


@pytest.mark.parametrize("abstract", [False, True])
def test_the_manager_hears_ready_alive_and_leaving(tmp_path: Path, abstract: bool) -> None:
    name = f"@watchtower-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    environment = {"NOTIFY_SOCKET": name}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("\0" + name[1:] if abstract else name)
        manager = ServiceManager(environment)
        manager.ready()
        manager.alive()
        manager.leaving()
        assert [ear.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]
    assert environment == {}, "children must not speak for the daemon"


def test_without_a_manager_or_with_a_deaf_one_nothing_happens(tmp_path: Path) -> None:
    ServiceManager({}).ready()
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).alive()
