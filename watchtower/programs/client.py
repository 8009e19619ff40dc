"""Talks to a running daemon over its local Unix socket, for the command line.

Only the socket file's mode protects it, which is the same permission as the state directory's. Everything it can
say is also in the HTTP API, so a person and a script read the same words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from watchtower.vocabulary.errors import NotReachable, Refused

SOCKET_NAME = "watchtower.sock"


class DaemonClient:
    """Raises NotReachable when nobody answers or an answer makes no sense, Refused when the daemon says no."""

    def __init__(self, state_directory: Path, patience_seconds: float = 10.0) -> None:
        """``patience_seconds``: how long one answer may take."""
        self._path = state_directory / SOCKET_NAME
        self._patience = patience_seconds

    def get(self, path: str) -> dict[str, Any]:
        return self._ask("GET", path, None)

    def command(self, verb: str, *, author: str, reason: str, seconds: float = 0) -> dict[str, Any]:
        body = {"author": author, "reason": reason, "seconds": seconds}
        return self._ask("POST", f"/api/v1/commands/{verb}", body)

    def post(self, path: str, document: bytes = b"") -> dict[str, Any]:
        return self._ask("POST", path, None, document)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None, document: bytes = b"") -> dict[str, Any]:
        try:
            with httpx.HTTPTransport(uds=str(self._path)) as transport, httpx.Client(transport=transport) as http:
                sent: dict[str, Any] = {"content": document} if document else {"json": body}
                reply = http.request(method, f"http://watchtower{path}", timeout=self._patience, **sent)
        except httpx.HTTPError as problem:
            raise NotReachable(
                f"no Watchtower answers on {self._path} · start one with 'watchtower run', "
                "or name its state directory with --state-dir"
            ) from problem
        try:
            answer: dict[str, Any] = reply.json() if reply.content else {}
        except ValueError as problem:
            raise NotReachable(f"what answers on {self._path} is no Watchtower (HTTP {reply.status_code})") from problem
        if reply.status_code >= 500:
            raise NotReachable(str(answer.get("error", f"Watchtower failed (HTTP {reply.status_code}); see its log")))
        if reply.status_code >= 400:
            raise Refused(str(answer.get("error", f"HTTP {reply.status_code}")))
        return answer
