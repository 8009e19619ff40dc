"""In front of an engine that somebody else runs: Watchtower sees, says, and has nothing to cure with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.outside import Clients, watchtower
from tests.e2e.stack import Stack, free_port

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    port = free_port()
    command = [sys.executable, "-m", "watchtower.programs.simulator", "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "engine.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        yield f"http://127.0.0.1:{port}", process
        process.terminate()


def reading(stack: Stack, name: str) -> float | None:
    value: float | None = next(reading for reading in stack.status()["readings"] if reading["name"] == name)["value"]
    return value


def test_a_hang_is_told_held_for_want_of_a_cure_and_a_dead_engine_is_a_502(
    tmp_path: Path, engine: tuple[str, subprocess.Popen[bytes]]
) -> None:
    url, process = engine
    stack = Stack(
        tmp_path,
        engine={"url": url},
        supervisor={"kind": "none", "command": []},
        remediation={"mode": "observe"},
    )
    state = ("--state-dir", str(stack.state))
    try:
        stack.start()
        said = watchtower("status", *state)
        assert said.code == 0, said.out
        assert "serves" in said.out and "no supervisor is configured" in said.out

        with Clients(stack.relay, "hello", count=2):
            stack.until(lambda: (reading(stack, "token_progress.rate") or 0) > 0, 15, "tokens are seen")
            assert (reading(stack, "exchanges.open") or 0) > 0
            assert reading(stack, "engine_running") is not None
            stack.fault(kind="hang", rank=1)
            stack.until(lambda: (stack.status()["incident"] or {}).get("state") == "held", 40, "held")
            held = {entry["gate"]: entry["because"] for entry in stack.status()["incident"]["held"]}
            assert "no_cure" in held
            assert stack.api("actions")["actions"] == []
            said = watchtower("status", *state)
            assert said.code == 1
            assert "held by no_cure" in said.out

        process.kill()
        process.wait()
        answer = httpx.post(f"{stack.relay}/v1/chat/completions", json={"model": "tiny", "messages": []}, timeout=10)
        assert answer.status_code == 502
        error = answer.json()["error"]
        assert {"message", "type", "param", "code"} <= set(error)
        assert error["message"] and error["code"]
        assert answer.headers["content-type"].startswith("application/json")
        assert httpx.get(f"{stack.relay}/v1/models", timeout=10).status_code == 502
        kind = 'watchtower_relay_caused_errors_total{kind="upstream_unreachable"}'
        stack.until(lambda: f"{kind} 2.0" in stack.http.get(f"{stack.web}/metrics").text, 5, "counted as ours")
        assert stack.ready(), "a dead engine does not make Watchtower unready"

        assert stack.process is not None
        stack.process.terminate()
        assert stack.process.wait(30) == 0
        said = watchtower("status", *state)
        assert said.code == 4
        assert said.err.startswith("watchtower: no Watchtower answers on ")
    finally:
        stack.end()
