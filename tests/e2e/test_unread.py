"""Real processes: an engine whose answers nobody reads is neither idle nor well."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from tests.e2e.outside import watchtower
from tests.e2e.stack import Stack

pytestmark = pytest.mark.timeout(300)


class UnreadEngine(BaseHTTPRequestHandler):
    """Serves a route that no dialect reads, and fails on it when it is told to."""

    protocol_version = "HTTP/1.1"
    failing = Event()

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self._answer(500 if self.failing.is_set() else 200)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


@pytest.fixture
def engine() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), UnreadEngine)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_traffic_on_a_route_that_nobody_reads_is_listed_is_not_idle_and_its_failures_open_an_incident(
    tmp_path: Path, engine: str
) -> None:
    stack = Stack(
        tmp_path, engine={"url": engine}, supervisor={"kind": "none", "command": []}, remediation={"mode": "observe"}
    )

    def ask() -> None:
        for _ in range(3):
            httpx.post(f"{stack.relay}/cohere/v2/chat", json={"input": "x"}, timeout=10)

    def kind(name: str) -> str:
        found: str = next(reading for reading in stack.status()["readings"] if reading["name"] == name)["kind"]
        return found

    def verdict(rule: str) -> str:
        ask()
        found: str = next(found for found in stack.status()["rules"] if found["rule"] == rule)["verdict"]
        return found

    try:
        stack.start()
        stack.until(lambda: kind("token_progress.stalled") == "idle", 30, "idle before anybody asks")
        ask()
        stack.until(lambda: kind("token_progress.stalled") == "unobserved", 10, "not idle")
        said = watchtower("status", "--state-dir", str(stack.state), columns=160)
        assert "/cohere/v2/chat: 3 passed (2xx 3)" in said.out
        assert (
            'watchtower_relay_unread_total{route="/cohere/v2/chat"} 3.0' in stack.http.get(f"{stack.web}/metrics").text
        )

        UnreadEngine.failing.set()
        stack.until(lambda: verdict("answers_fail") == "breach", 90, "its failures are failures")
    finally:
        UnreadEngine.failing.clear()
        stack.end()
