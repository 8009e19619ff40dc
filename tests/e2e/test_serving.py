"""Real processes: who asks whether to send requests here learns of a death, and of nothing less."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.stack import Stack, free_port

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    port = free_port()
    command = [sys.executable, "-m", "watchtower.programs.simulator", "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "engine.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        yield f"http://127.0.0.1:{port}", process
        process.kill()


def test_a_dead_engine_that_nobody_supervises_turns_away_on_both_ports_until_the_daemon_is_gone(
    tmp_path: Path, engine: tuple[str, subprocess.Popen[bytes]]
) -> None:
    url, process = engine
    stack = Stack(
        tmp_path,
        engine={"url": url, "scrape_seconds": 1},
        supervisor={"kind": "none", "command": []},
        remediation={"mode": "observe"},
    )

    def relay_says() -> int:
        return httpx.get(f"{stack.relay}/-/serving", timeout=5).status_code

    def daemon_says() -> httpx.Response:
        return stack.http.get(f"{stack.web}/-/serving")

    try:
        stack.start()
        assert relay_says() == 200
        assert daemon_says().status_code == 200
        assert httpx.get(f"{stack.relay}/-/serving/", timeout=5).status_code == 404, "the engine's own answer"

        process.kill()
        process.wait()
        stack.until(lambda: daemon_says().status_code == 503, 20, "the daemon turns away")
        stack.until(lambda: relay_says() == 503, 5, "and so does the relay")
        assert daemon_says().json()["known"] is True
        assert "has not answered" in daemon_says().json()["reason"]
        contacts = {(found["by"], found["kind"]) for found in stack.status()["engine"]["contacts"]}
        assert ("scrape", "refused") in contacts
        assert stack.ready(), "that the engine is dead does not make Watchtower unready"

        stack.kill()
        stack.process = None
        stack.until(lambda: relay_says() == 200, 20, "a word that nobody renews lapses")
    finally:
        stack.end()
