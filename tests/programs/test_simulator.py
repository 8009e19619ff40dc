"""The program as a process: loading, signals, streams cut in a hang."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest

from watchtower.clock import boottime, sleep_blocking

HTTP = httpx.Client(verify=False)
"""Without certificates to load: plain HTTP on loopback."""
STREAM = {"messages": [{"role": "user", "content": "hello"}], "stream": True}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


Start = Callable[..., tuple[subprocess.Popen[bytes], str]]


@pytest.fixture
def start() -> Iterator[Start]:
    children: list[subprocess.Popen[bytes]] = []

    def run(*more: str) -> tuple[subprocess.Popen[bytes], str]:
        port = free_port()
        command = [sys.executable, "-m", "watchtower.programs.simulator", "--port", str(port), *more]
        child = subprocess.Popen(
            command, stderr=subprocess.PIPE, env={**os.environ, "WATCHTOWER_OP_ID": "op-3", "WATCHTOWER_REASON": "why"}
        )
        children.append(child)
        url = f"http://127.0.0.1:{port}"
        for _ in range(300):
            try:
                if HTTP.get(f"{url}/health").status_code == 200:
                    break
            except httpx.TransportError:
                sleep_blocking(0.05)
        return child, url

    yield run
    for child in children:
        child.kill()
        child.communicate()


def ended_within(child: subprocess.Popen[bytes], seconds: float) -> bytes:
    began = boottime()
    child.send_signal(signal.SIGTERM)
    _, complaints = child.communicate(timeout=10)
    assert boottime() - began < seconds
    return complaints


def read_into(lines: list[str], url: str) -> threading.Thread:
    def read() -> None:
        try:
            with HTTP.stream("POST", f"{url}/v1/chat/completions", json=STREAM, timeout=20) as answer:
                lines.extend(answer.iter_lines())
        except httpx.TransportError as problem:
            lines.append(type(problem).__name__)

    thread = threading.Thread(target=read)
    thread.start()
    while HTTP.get(f"{url}/sim/state").json()["running"] == 0:
        sleep_blocking(0.02)
    return thread


def test_it_says_who_it_is_and_why_it_was_started(start: Start) -> None:
    child, url = start("--start-seconds", "0")
    state = HTTP.get(f"{url}/sim/state").json()
    assert (state["pid"], state["op_id"], state["reason"]) == (child.pid, "op-3", "why")


def test_sigterm_aborts_what_is_in_flight_and_ends_promptly(start: Start) -> None:
    child, url = start("--start-seconds", "0", "--token-seconds", "0.2")
    lines: list[str] = []
    reader = read_into(lines, url)
    assert ended_within(child, 2.0) == b""
    reader.join()
    assert lines[-2] == "data: [DONE]" and '"finish_reason":"abort"' in lines[-4]


def test_sigterm_in_a_hang_cuts_what_is_in_flight_and_ends_promptly(start: Start) -> None:
    child, url = start("--start-seconds", "0")
    HTTP.post(f"{url}/sim/fault", json={"kind": "hang"})
    lines: list[str] = []
    reader = read_into(lines, url)
    assert HTTP.get(f"{url}/health").status_code == 200
    assert ended_within(child, 2.0) == b""
    reader.join()
    assert len(lines) == 1 and lines[0] in ("RemoteProtocolError", "ReadError")


def test_it_does_not_listen_while_it_loads_and_a_signal_ends_that_at_once() -> None:
    port = free_port()
    child = subprocess.Popen(
        [sys.executable, "-m", "watchtower.programs.simulator", "--port", str(port), "--start-seconds", "60"]
    )
    sleep_blocking(1.0)
    with pytest.raises(httpx.ConnectError):
        HTTP.get(f"http://127.0.0.1:{port}/health")
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=5) == -signal.SIGTERM
