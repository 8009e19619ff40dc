"""The release before this one runs, ends, and this one takes over what it left: streams, engine, journal.

``tests/releases`` keeps the wheels. The old daemon runs from its own files, and so do the relay worker, the keeper and
the engine that it started; all of them outlive it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.outside import Clients, runs, watchtower
from tests.e2e.stack import Stack

RELEASES = sorted((Path(__file__).parent.parent / "releases").glob("*.whl"))
STREAMS = 8
GRACE_SECONDS = 7.0
"""After its own start a daemon acts on nothing for a while."""


@pytest.fixture(params=RELEASES, ids=lambda wheel: wheel.name.split("-")[2])
def release(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A release's files, unpacked."""
    with zipfile.ZipFile(request.param) as wheel:
        wheel.extractall(tmp_path / "release")
    return tmp_path / "release"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(
        tmp_path,
        "--token-seconds",
        "0.1",
        engine={"model": "tiny", "checkpoint": "tiny-good"},
        remediation={"restarts_per_hour": 1},
    )
    try:
        yield stack
    finally:
        stack.end()


def command(stack: Stack, release: Path, *arguments: str) -> None:
    """As a person would give it to the daemon of that release."""
    subprocess.run(
        [sys.executable, "-m", "watchtower.cli", *arguments, "--state-dir", str(stack.state)],
        cwd=release,
        env={**os.environ, "PYTHONPATH": str(release)},
        timeout=60,
        check=True,
        capture_output=True,
    )


def kill_engine(stack: Stack) -> None:
    os.kill(int(stack.status()["engine"]["incarnation"]["id"]), signal.SIGKILL)


def actions(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stack.api("actions")["actions"]
    return found


def cured(stack: Stack) -> bool:
    return any(action["state"] == "effective" for action in actions(stack))


def holds(stack: Stack, gate: str) -> bool:
    return any(held["gate"] == gate for incident in stack.api("incidents")["incidents"] for held in incident["held"])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=lambda end: end.name)
def test_a_newer_daemon_takes_over_streams_engine_and_journal(stack: Stack, release: Path, end: signal.Signals) -> None:
    stack.start(release=release)
    time.sleep(GRACE_SECONDS)
    command(stack, release, "checkpoints", "bless", "--reason", "passed its evals")
    kill_engine(stack)
    stack.until(lambda: cured(stack), 60, "an effective cure, which spends the budget of this hour")
    command(stack, release, "pause", "--reason", "deploying", "--minutes", "30")
    before, blessed, (action,) = stack.status(), stack.api("checkpoints")["blessed"], actions(stack)
    helpers = stack.helpers()
    assert before["paused"]["reason"] == "deploying" and blessed["reason"] == "passed its evals"
    with Clients(stack.relay, "hello", count=STREAMS, tokens=100) as clients:
        stack.until(lambda: stack.status()["relay"]["open"] == STREAMS, 20, "streams are open")
        assert stack.process is not None
        stack.process.send_signal(end)
        stack.process.wait(30)
        assert [runs(pid) for pid in helpers] == [True, True], "relay worker and keeper outlive their daemon"
        answered = len(clients.answers)
        stack.start()
        stack.until(lambda: stack.status()["relay"]["open"] > 0, 10, "the streams are seen")
        stack.until(
            lambda: len(clients.answers) >= answered + 2 * STREAMS, 40, "the streams end, and others after them"
        )
        assert clients.failed == []

    after = stack.status()
    assert (stack.helpers(), after["relay"]["workers"]) == (helpers, 1), "adopted, not replaced"
    assert after["engine"]["incarnation"] == before["engine"]["incarnation"], "the engine did not notice"
    assert after["storage_fault"] == ""
    assert after["paused"] == before["paused"]
    assert stack.api("checkpoints")["blessed"] == blessed
    assert actions(stack) == [action]
    (incident,) = stack.api("incidents")["incidents"]
    assert (incident["id"], incident["actions"]) == (action["incident"], [action["op_id"]])

    assert watchtower("resume", "--reason", "deployed", "--state-dir", str(stack.state)).code == 0
    kill_engine(stack)
    stack.until(lambda: holds(stack, "budget"), 40, "a cure is held: the restart before the take-over spent the budget")
    assert actions(stack) == [action]


@pytest.mark.timeout(300)
def test_a_newer_daemon_with_another_plan_replaces_the_worker_and_no_stream_is_lost(
    stack: Stack, release: Path
) -> None:
    stack.start(release=release)
    (worker, keeper) = stack.helpers()
    with Clients(stack.relay, "hello", count=STREAMS, tokens=100) as clients:
        stack.until(lambda: stack.status()["relay"]["open"] == STREAMS, 20, "streams are open")
        stack.kill()
        document = yaml.safe_load(stack.config.read_text())
        document["relay"]["tag_header"] = "x-team"
        stack.config.write_text(yaml.safe_dump(document))
        stack.start()
        stack.until(lambda: not runs(worker), 60, "the old worker leaves when its streams have ended")
        answered = len(clients.answers)
        stack.until(lambda: len(clients.answers) >= answered + STREAMS, 40, "its successor serves")
        assert clients.failed == []

    assert stack.helpers()[1] == keeper
    assert stack.helpers()[0] != worker
