"""The whole product as processes, for tests: daemon, relay, keeper and an engine, on free loopback ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import yaml

from watchtower.adapters.keeper.keeper_client import ask
from watchtower.adapters.keeper.protocol import Confirmed, Observe, Observed, Stop
from watchtower.adapters.supervisor.process import keeper_socket
from watchtower.vocabulary.errors import NotReachable

START_SECONDS = 30.0
END_SECONDS = 60.0
PATIENCE = 3.0
"""What does not come in its time is waited for so much longer: a slow machine is no defect, and waiting hides none."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Stack:
    """``start()`` the daemon, ``kill()`` it, ``start()`` it again on the same state; ``end()`` ends everything.

    The engine is the simulator, unless ``settings`` say otherwise: groups of the configuration that are merged into
    its own.
    """

    def __init__(self, directory: Path, *engine_arguments: str, **settings: Any) -> None:
        """``engine_arguments``: of the simulator."""
        self.state = directory / "state"
        engine_port, self.relay_port, self.web_port = free_port(), free_port(), free_port()
        engine = [sys.executable, "-m", "watchtower.programs.simulator", "--host", "127.0.0.1"]
        document: dict[str, Any] = {
            "version": 1,
            "target": "test",
            "state_directory": str(self.state),
            "relay": {"listen": f"127.0.0.1:{self.relay_port}"},
            "engine": {"url": f"http://127.0.0.1:{engine_port}"},
            "supervisor": {"kind": "process", "command": [*engine, "--port", str(engine_port), *engine_arguments]},
            "remediation": {"profile": "demo", "mode": "auto"},
            "web": {"listen": f"127.0.0.1:{self.web_port}"},
        }
        for section, values in settings.items():
            if isinstance(values, dict):
                document.setdefault(section, {}).update(values)
            else:
                document[section] = values
        self.engine: str = document["engine"]["url"]
        self.config = directory / "watchtower.yaml"
        self.config.write_text(yaml.safe_dump(document))
        self.log = directory / "daemon.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(timeout=10)

    @property
    def relay(self) -> str:
        return f"http://127.0.0.1:{self.relay_port}"

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    def start(self, *, ready: bool = True, within: float = START_SECONDS, release: Path | None = None) -> None:
        """``release``: the directory of another version, which is run instead of this one."""
        command = [sys.executable, "-m", "watchtower.cli", "run", "--config", str(self.config)]
        environment = os.environ if release is None else {**os.environ, "PYTHONPATH": str(release)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, cwd=release, env=environment
            )
        if ready:
            self.until(lambda: self.ready() and self.status()["engine"]["serving"], within, "ready and serving")

    def ready(self) -> bool:
        try:
            return self.http.get(f"{self.web}/-/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def api(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.get(f"{self.web}/api/v1/{path}").json()
        return answer

    def status(self) -> dict[str, Any]:
        return self.api("status")

    def fault(self, **fault: Any) -> None:
        """Inject into the simulator, and see that it took effect."""
        answer = self.http.post(f"{self.engine}/sim/fault", json=fault).json()
        assert answer["fault"]["kind"] == fault["kind"], answer

    def kill(self) -> None:
        """SIGKILL the daemon alone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def until(self, true: Callable[[], object], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds * PATIENCE
        while time.monotonic() < deadline:
            assert self.process is None or self.process.poll() is None, f"the daemon ended: {self.log.read_text()}"
            try:
                if true():
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        try:
            seen = self.status()
        except httpx.HTTPError:
            seen = {}
        now = {key: seen.get(key) for key in ("rules", "incident", "action", "engine")}
        raise AssertionError(f"not within {seconds * PATIENCE:g} s: {what}\n{now}\n{self.log.read_text()[-1500:]}")

    def helpers(self) -> list[int]:
        """The pids of the keeper and the relay workers of this state directory: what outlives a daemon."""
        pids = []
        for lock in sorted(self.state.glob("relay-*.lock")):
            text = lock.read_text().split()
            if text and text[0].isdigit():
                pids.append(int(text[0]))
        with suppress(NotReachable):
            pids.append(ask(keeper_socket(self.state), Observe(), Observed, 5.0).keeper_pid)
        return pids

    def end(self) -> None:
        """End what is left: the daemon, then engine and keeper, then the relay workers."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        pids = self.helpers()
        with suppress(NotReachable):
            ended = ask(keeper_socket(self.state), Stop(), Confirmed, END_SECONDS)
            assert ended.yes, ended.because
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + END_SECONDS
        while any(left := [pid for pid in pids if _alive(pid)]) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.http.close()
        assert left == [], "keeper or relay did not end"


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
