"""What stands around the product in these tests: a person at a terminal, clients, a pager, and a stranger's port."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, NamedTuple

import httpx


class Said(NamedTuple):
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


def watchtower(*arguments: str, columns: int = 80, within: float = 60.0) -> Said:
    """Run one command as a person would."""
    done = subprocess.run(
        [sys.executable, "-m", "watchtower.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=within,
        env={**os.environ, "COLUMNS": str(columns)},
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def runs(pid: int) -> bool:
    """The process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def processes(*words: str) -> list[int]:
    """Pids of the living processes whose command line has all these words."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue  # it just ended
        if command and all(word.encode() in command for word in words):
            found.append(int(entry.name))
    return found


@contextmanager
def taken_port() -> Iterator[int]:
    """A port of loopback that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


class Clients:
    """Stream chats through the relay, one after the other each, until the block ends. Nothing is asked again."""

    def __init__(self, relay: str, prompt: str, count: int = 8, tokens: int = 40) -> None:
        self._url = f"{relay}/v1/chat/completions"
        self._ask = {
            "model": "tiny",
            "stream": True,
            "max_tokens": tokens,
            "messages": [{"role": "user", "content": prompt}],
        }
        self._stop = Event()
        self._threads = [Thread(target=self._caller, daemon=True) for _ in range(count)]
        self.answers: list[str] = []
        self.failed: list[str] = []

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        """A caller that waits for a hung engine is left waiting; it ends with the engine."""
        self._stop.set()
        for thread in self._threads:
            thread.join(0.5)

    def _caller(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._stop.wait(0.1):
                try:
                    self.answers.append(self._once(client))
                except (httpx.HTTPError, ValueError) as problem:
                    if not self._stop.is_set():
                        self.failed.append(repr(problem))

    def _once(self, client: httpx.Client) -> str:
        text = ""
        with client.stream("POST", self._url, json=self._ask) as reply:
            reply.raise_for_status()
            for line in reply.iter_lines():
                if line == "data: [DONE]":
                    return text
                if line.startswith("data: "):
                    choices = json.loads(line[6:])["choices"]
                    text += choices[0]["delta"].get("content") or "" if choices else ""
                if self._stop.is_set():
                    break
        raise ValueError("the answer ended early")


class Arrived(NamedTuple):
    """One delivery: what was signed, and whether the signature holds."""

    id: str
    timestamp: str
    body: bytes
    valid: bool
    accepted: bool

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event


class Pager:
    """A receiver of Standard Webhooks that shares no code with the sender; it refuses the first ``refuses``."""

    def __init__(self, refuses: int = 0) -> None:
        key = os.urandom(32)
        self.secret = "whsec_" + base64.b64encode(key).decode()
        self._key = key
        self._refuses = refuses
        self._lock = Lock()
        self._arrived: list[Arrived] = []

    def take(self, headers: Any, body: bytes) -> bool:
        id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        mine = base64.b64encode(hmac.digest(self._key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)).decode()
        valid = headers["webhook-signature"].split() == [f"v1,{mine}"]
        with self._lock:
            accepted = len(self._arrived) >= self._refuses
            self._arrived.append(Arrived(id, timestamp, body, valid, accepted))
        return accepted

    @property
    def arrived(self) -> list[Arrived]:
        with self._lock:
            return list(self._arrived)

    def told(self, kind: str) -> list[dict[str, Any]]:
        """Data of the accepted events of one type, each id once."""
        once = {arrival.id: arrival.event for arrival in self.arrived if arrival.accepted}
        return [event["data"] for event in once.values() if event["type"] == kind]

    @contextmanager
    def listening(self) -> Iterator[dict[str, str]]:
        """Yields the configuration of the sink."""
        pager = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(204 if pager.take(self.headers, body) else 500)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
            thread.start()
            yield {"kind": "webhook", "url": f"http://127.0.0.1:{server.server_port}/hook", "secret": self.secret}
            server.shutdown()
            thread.join()
