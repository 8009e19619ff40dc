"""A tiny receiver of signed notices, as a user's pager would be: it takes a notice only with a valid signature.

It checks the signature from the Standard Webhooks specification alone, with none of the sender's code, so that the
two can disagree. Retries arrive with the same id and count once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any


class Notices:
    """What arrived, in order. Written by the receiver's threads, read by anyone."""

    def __init__(self, secret: str) -> None:
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._lock = Lock()
        self._ids: set[str] = set()
        self._taken: list[dict[str, Any]] = []
        self.refused = 0

    def take(self, id: str, timestamp: str, signatures: str, body: bytes) -> bool:
        """False: the signature is not ours, or the body is no event."""
        signed = b".".join((id.encode(), timestamp.encode(), body))
        mine = base64.b64encode(hmac.digest(self._key, signed, hashlib.sha256))
        valid = any(
            version == "v1" and hmac.compare_digest(mine, given.encode())
            for version, _, given in (signature.partition(",") for signature in signatures.split())
        )
        try:
            event = json.loads(body)
        except ValueError:
            valid = False
        with self._lock:
            if not valid:
                self.refused += 1
            elif id not in self._ids:
                self._ids.add(id)
                self._taken.append({"id": id, "type": event["type"], "title": event["data"].get("title", "")})
        return valid

    def all(self) -> list[dict[str, Any]]:
        with self._lock:
            return list(self._taken)


@contextmanager
def receiving(notices: Notices) -> Iterator[str]:
    """Serve on a free port of loopback; yields the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            header = self.headers.get
            taken = notices.take(
                header("webhook-id", ""), header("webhook-timestamp", ""), header("webhook-signature", ""), body
            )
            self.send_response(204 if taken else 401)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Silent: the demo tells what arrived."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/notices"
        finally:
            server.shutdown()
            thread.join()
