"""Started by somebody else's hand: a service manager that holds the socket, and containers that share namespaces.

There is no systemd as PID 1 and no container runtime here: its own ``systemd-socket-activate``, the variables of
sd_listen_fds(3) and sd_notify(3), and the kernel's PID namespaces stand in for them.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
import yaml

from tests.e2e.stack import free_port

pytestmark = pytest.mark.timeout(300)
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""
"""What a service manager does between fork and exec."""
WATCHTOWER = [sys.executable, "-m", "watchtower.cli"]


class Engine(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


class House:
    """A configuration, an engine that says ok, and every process that was started for it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Engine)
        Thread(target=self.server.serve_forever, daemon=True).start()
        self.relay_port, self.web_port = free_port(), free_port()
        self.config = directory / "watchtower.yaml"
        self.config.write_text(
            yaml.safe_dump(
                {
                    "version": 1,
                    "state_directory": str(self.state),
                    "engine": {"url": f"http://127.0.0.1:{self.server.server_address[1]}"},
                    "relay": {"listen": f"127.0.0.1:{self.relay_port}"},
                    "web": {"listen": f"127.0.0.1:{self.web_port}"},
                    "hardware": {"source": "none"},
                }
            )
        )
        self.processes: list[subprocess.Popen[bytes]] = []

    def command(self, verb: str, *more: str) -> list[str]:
        return [*WATCHTOWER, verb, "--config", str(self.config), *more]

    def start(self, command: list[str], *, keep: tuple[int, ...] = (), **environment: str) -> subprocess.Popen[bytes]:
        with (self.directory / "log").open("ab") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, pass_fds=keep, env={**os.environ, **environment}
            )
        self.processes.append(process)
        return process

    def worker(self) -> int:
        """Pid of relay worker 0, as it wrote it down; 0 while there is none."""
        try:
            return int((self.state / "relay-0.lock").read_text())
        except (OSError, ValueError):
            return 0

    def served(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.relay_port}/health", timeout=10, trust_env=False).text == "ok"
        except httpx.HTTPError:
            return False

    def ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.web_port}/-/ready", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def log(self) -> str:
        return (self.directory / "log").read_text()

    def until(self, true: object, what: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if callable(true) and true():
                return
            time.sleep(0.1)
        raise AssertionError(f"not within {seconds} s: {what}\n{self.log()[-2000:]}")

    def end(self) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                process.terminate()
                process.wait(60)
        if worker := self.worker():
            try:
                os.kill(worker, signal.SIGTERM)
            except ProcessLookupError:
                pass
            self.until(lambda: not Path(f"/proc/{worker}/fd/0").exists(), "the relay worker has ended")
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path)
    yield found
    found.end()


def test_the_relay_takes_the_socket_that_systemd_holds_and_the_client_that_waits_in_it(house: House) -> None:
    if shutil.which("systemd-socket-activate") is None:
        pytest.skip("systemd-socket-activate is not installed")
    address = f"127.0.0.1:{house.relay_port}"
    passed = [f"--setenv={name}" for name in ("PYTHONPATH", "PATH", "LD_LIBRARY_PATH") if name in os.environ]
    manager = house.start(["systemd-socket-activate", "-l", address, *passed, *house.command("relay")])
    with socket.socket() as client:
        client.settimeout(60)
        house.until(lambda: client.connect_ex(("127.0.0.1", house.relay_port)) == 0, "systemd listens")
        client.sendall(b"GET /health HTTP/1.1\r\nhost: engine\r\n\r\n")
        answer = b""
        while not answer.endswith(b"ok"):
            more = client.recv(1000)
            assert more, house.log()
            answer += more
    assert answer.startswith(b"HTTP/1.0 200")
    assert house.worker() == manager.pid, "the same process, become the relay"


def test_the_daemon_takes_the_managers_socket_tells_it_all_and_its_relay_stays_when_it_goes(house: House) -> None:
    ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ear.bind(str(house.directory / "notify"))
    ear.settimeout(60)
    listening = socket.create_server(("127.0.0.1", house.relay_port), backlog=64)
    descriptor = listening.fileno()
    activated = [sys.executable, "-c", ACTIVATE, str(descriptor), *house.command("run")]
    daemon = house.start(activated, keep=(descriptor,), NOTIFY_SOCKET=str(house.directory / "notify"))
    try:
        heard = [ear.recv(100) for _ in range(3)]
        assert heard.count(b"READY=1") == 1 and b"WATCHDOG=1" in heard
        house.until(house.served, "the relay answers on the manager's socket")
        worker = house.worker()
        daemon.terminate()
        assert daemon.wait(60) == 0
        ear.settimeout(1)
        while heard[-1] != b"STOPPING=1":
            heard.append(ear.recv(100))
        assert house.worker() == worker and house.served()
        house.start(activated, keep=(descriptor,))
        house.until(house.ready, "the next daemon sees the worker")
        assert house.worker() == worker, "KillMode=process: the next daemon takes over whom it finds"
    finally:
        listening.close()
        ear.close()


def only_child(house: House, parent: subprocess.Popen[bytes]) -> int:
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    house.until(lambda: children.read_text().strip(), f"a child of {parent.args!r}")
    return int(children.read_text())


class Namespace:
    """A container as far as its PID namespace goes: the command is PID 1 of it."""

    def __init__(self, house: House, command: list[str]) -> None:
        outside = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
        if shutil.which("unshare") is None or subprocess.run([*outside, "true"], check=False).returncode:
            pytest.skip("PID namespaces are not to be had here")
        self._outer = house.start([*outside, *command])
        self.first = only_child(house, self._outer)

    def end(self) -> None:
        os.kill(self.first, signal.SIGTERM)
        self._outer.wait(60)  # unshare itself ignores SIGTERM while it waits for PID 1

    def inside(self, command: list[str]) -> list[str]:
        return ["nsenter", f"--target={self.first}", "--user", "--pid", "--mount", "--preserve-credentials", *command]


def test_a_relay_in_a_container_of_its_own_is_found_only_from_within_its_pid_namespace(house: House) -> None:
    container = Namespace(house, house.command("relay"))
    try:
        found_from_within_alone(house, container)
    finally:
        container.end()
        (house.state / "relay-0.lock").unlink()  # its pid is another's here


def found_from_within_alone(house: House, container: Namespace) -> None:
    house.until(house.served, "the relay answers")
    assert house.worker() == 1, "in its own container the relay is PID 1"

    stranger = subprocess.run(house.command("run"), capture_output=True, text=True, timeout=60, check=False)
    assert stranger.returncode == 5
    assert "another PID namespace · let both containers share one (Compose: pid: service:relay)" in stranger.stderr
    assert house.served(), "nobody was hurt"

    entered = house.start(container.inside(house.command("run")))
    house.until(house.ready, "the daemon beside it sees the relay")
    assert "relay worker adopted" in house.log()
    os.kill(only_child(house, entered), signal.SIGTERM)
    assert entered.wait(60) == 0
    assert house.served(), "the relay's container lives on"
