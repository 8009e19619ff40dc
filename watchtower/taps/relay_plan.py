"""What one relay worker is told at start.

The plan travels as JSON on the worker's command line, so it holds no secret. Two plans with the same ``digest``
make interchangeable workers: a new daemon keeps a running worker if, and only if, the digests agree.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import msgspec

LEAVING: Final = "leaving-{pid}.lock"
PROTOCOL: Final = 1
"""Of the messages between worker and daemon. Raise it when a change is more than growth (``vocabulary.facts``): a new
daemon then replaces the workers that it finds, on the same listening socket, and they end what is open."""
_GROWN: Final = ("forward_only", "protocol", "head_seconds", "body_pause_seconds", "client_idle_seconds")
"""Fields that the first plans did not have: a plan without one and a plan that names its default are the same plan."""


class RelayPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The knobs are those of ``settings.RelaySettings``."""

    worker: int
    listen: str
    """``host:port``; bound by the worker only when it is handed no socket."""
    listen_fd: int = -1
    """A listening socket inherited from the parent; −1: none."""
    upstream: str
    """``http://host:port`` or ``unix:/path``."""
    run_directory: str
    facts: str = ""
    """The daemon's Unix socket; empty: nobody is told anything."""
    guard: bool = True
    allow_paths: tuple[str, ...] = ()
    tag_header: str = ""
    connect_seconds: float = 5.0
    max_connections: int = 4096
    drain_seconds: float = 30.0
    """How long open exchanges may take to end after SIGTERM."""
    protocol: int = 1
    """Spoken by the daemon that made the plan."""
    head_seconds: float = 30.0
    body_pause_seconds: float = 60.0
    client_idle_seconds: float = 650.0
    forward_only: bool = False
    """Read nothing: workers of this place died while they read. A plan without it is another one, so the next daemon
    tries a worker that reads."""

    @property
    def lock_path(self) -> Path:
        """Locked (flock) while this worker lives and accepts; holds its pid."""
        return Path(self.run_directory) / f"relay-{self.worker}.lock"

    @property
    def handover_path(self) -> Path:
        """Unix socket that gives the listening socket to a successor."""
        return Path(self.run_directory) / f"relay-{self.worker}.handover"

    def leaving_path(self, pid: int) -> Path:
        """Locked instead, while the worker only ends what is open."""
        return Path(self.run_directory) / LEAVING.format(pid=pid)

    def digest(self) -> str:
        """Of everything but the file descriptor's number."""
        fields = msgspec.to_builtins(msgspec.structs.replace(self, listen_fd=-1))
        defaults = {field.name: field.default for field in msgspec.structs.fields(self)}
        for name in _GROWN:
            if fields[name] == defaults[name]:
                del fields[name]
        return hashlib.sha256(msgspec.json.encode(fields)).hexdigest()[:16]
