"""Starting where it cannot, ending with or without what it owns, and coming back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.outside import runs, taken_port, watchtower
from tests.e2e.stack import Stack

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("lifecycle"))
    try:
        stack.start()
        yield stack
    finally:
        stack.end()


def engine_of(stack: Stack) -> int:
    return int(stack.status()["engine"]["incarnation"]["id"])


def terminate(stack: Stack) -> int:
    assert stack.process is not None
    stack.process.send_signal(signal.SIGTERM)
    return stack.process.wait(60)


def left_behind(stack: Stack) -> list[str]:
    """Names in the state directory of a start that was refused, but what harms nobody: lease, empty journal, socket."""
    quiet = {"lease", "journal.db", "journal.head", "journal.db-wal", "journal.db-shm", "facts.sock"}
    return sorted({path.name for path in stack.state.iterdir()} - quiet) if stack.state.exists() else []


def test_a_second_daemon_on_the_same_state_is_refused_and_says_whose_it_is(stack: Stack) -> None:
    assert stack.process is not None
    said = watchtower("run", "--config", str(stack.config))
    assert said.code == 5
    assert said.err.splitlines()[-1] == (
        f"watchtower: another Watchtower (pid {stack.process.pid}) already uses the state directory {stack.state}"
    )
    assert stack.ready()
    assert watchtower("status", "--state-dir", str(stack.state)).code == 0, "its control socket is still its own"


def test_a_taken_web_port_is_said_with_its_cure_and_nothing_was_started(stack: Stack, tmp_path: Path) -> None:
    other = Stack(tmp_path, web={"listen": f"127.0.0.1:{stack.web_port}"})
    said = watchtower("run", "--config", str(other.config))
    assert said.code == 2
    last = said.err.splitlines()[-1]
    assert "web.listen" in last and str(stack.web_port) in last and "choose a free host:port" in last
    assert "Traceback" not in said.err
    assert left_behind(other) == []


def test_a_taken_relay_port_is_said_with_its_cure_and_no_engine_was_started(tmp_path: Path) -> None:
    with taken_port() as port:
        stack = Stack(tmp_path, relay={"listen": f"127.0.0.1:{port}"})
        said = watchtower("run", "--config", str(stack.config))
    assert said.code == 2
    last = said.err.splitlines()[-1]
    assert "relay.listen" in last and str(port) in last and "choose another host:port" in last
    assert "Traceback" not in said.err
    assert left_behind(stack) == [] and stack.helpers() == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(stack.engine)


def test_the_daemon_leaves_relay_keeper_and_engine_and_the_next_one_takes_them_over(stack: Stack) -> None:
    engine, helpers = engine_of(stack), stack.helpers()
    assert len(helpers) == 2
    assert terminate(stack) == 0
    assert [runs(pid) for pid in (engine, *helpers)] == [True] * 3
    served = httpx.get(f"{stack.relay}/v1/models", timeout=10)
    assert served.status_code == 200, "clients are served while nobody watches"
    stack.start()
    assert (engine_of(stack), stack.helpers()) == (engine, helpers)


def test_a_keeper_that_was_killed_is_replaced_and_the_engine_runs_on(stack: Stack) -> None:
    engine, (relay, keeper) = stack.status()["engine"]["incarnation"], stack.helpers()
    os.kill(keeper, signal.SIGKILL)
    stack.until(lambda: stack.status()["engine"]["incarnation"] is None, 20, "nobody can tell who runs")
    stack.until(lambda: stack.status()["engine"]["incarnation"] == engine, 30, "another keeper took the engine over")
    assert stack.helpers()[0] == relay
    assert stack.helpers()[1] != keeper


def test_own_everything_ends_relay_keeper_and_engine(stack: Stack) -> None:
    """Also those that an earlier daemon had started. The last test on this stack."""
    engine, helpers = engine_of(stack), stack.helpers()
    assert terminate(stack) == 0
    command = [sys.executable, "-m", "watchtower.cli", "run", "--config", str(stack.config), "--own-everything"]
    with stack.log.open("ab") as log:
        stack.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    stack.until(lambda: stack.ready() and stack.status()["engine"]["serving"], 30, "ready and serving")
    assert engine_of(stack) == engine
    members = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and session(path) == engine]
    assert engine in members
    assert terminate(stack) == 0
    assert [pid for pid in (*members, *helpers) if runs(pid)] == []
    assert not (stack.state / "watchtower.sock").exists() and not (stack.state / "keeper.sock").exists()


def session(process: Path) -> int:
    try:
        return os.getsid(int(process.name))
    except ProcessLookupError:
        return 0
