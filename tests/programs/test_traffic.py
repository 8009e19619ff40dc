"""Somebody who uses a server, until he is told to stop."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.stack import free_port


@pytest.fixture
def engine() -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "watchtower.programs.simulator", "--port", str(port), "--start-seconds", "0"]
    child = subprocess.Popen([*command, "--token-seconds", "0.001"], stderr=subprocess.DEVNULL)
    yield f"http://127.0.0.1:{port}"
    child.terminate()
    child.wait(30)


def served(engine: str) -> bool:
    try:
        page = httpx.get(f"{engine}/metrics", trust_env=False).text
    except httpx.HTTPError:
        return False
    return re.search(r"request_success_total\{[^}]*\} [1-9]", page) is not None


@pytest.mark.timeout(60)
def test_it_asks_until_sigterm_and_counts_what_it_got(engine: str) -> None:
    client = subprocess.Popen(
        [sys.executable, "-m", "watchtower.programs.traffic", engine, "--callers", "2"],
        stdout=subprocess.PIPE,
        text=True,
    )
    while not served(engine):
        assert client.poll() is None
        time.sleep(0.1)
    client.terminate()
    said, _ = client.communicate(timeout=50)
    assert client.returncode == 0
    requests, tokens, failed = (part.split() for part in said.strip().split(", ", 2))
    assert int(requests[0]) > 0 and int(tokens[0]) > 0, said
    assert failed[0] == "failed:"
