"""An HTTP server that answers what a test wrote down, over TCP or a Unix socket, and remembers what it was asked."""

from __future__ import annotations

import json
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event, Thread
from typing import Any


class Script:
    """Answers by path: (status, body). ``None`` as body: silence until the test is over."""

    def __init__(self, **answers: tuple[int, Any]) -> None:
        self.answers = {"/" + path.replace("__", "/"): answer for path, answer in answers.items()}
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.over = Event()
        self.url = ""


def _handler(script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length", 0)))
            script.asked.append((self.path, dict(self.headers.items()), json.loads(sent) if sent else None))
            status, body = script.answers.get(self.path, (404, "not here"))
            if body is None:
                script.over.wait(10)
                return
            content = (
                body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
            )
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def address_string(self) -> str:
            return "test"

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    return Handler


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True


class _Unix(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@contextmanager
def served(script: Script, unix: Path | None = None) -> Iterator[Script]:
    server = _Unix(str(unix), _handler(script)) if unix else _Tcp(("127.0.0.1", 0), _handler(script))
    script.url = f"unix:{unix}" if unix else f"http://127.0.0.1:{server.socket.getsockname()[1]}"
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield script
    finally:
        script.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
