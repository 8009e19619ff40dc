"""What one relay worker is told at start, and how an upstream's address is written.

The plan travels as JSON on the worker's command line, so it holds no secret. Two plans with the same ``digest``
make interchangeable workers: a new daemon keeps a running worker if, and only if, the digests agree.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from watchtower.vocabulary.errors import BadInput, Problem

MAX_SOCKET_PATH_BYTES: Final = 107
"""``sun_path`` has 108 bytes, the last of them NUL (unix(7))."""


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

    @property
    def lock_path(self) -> Path:
        """Locked (flock) while this worker lives and accepts; holds its pid."""
        return Path(self.run_directory) / f"relay-{self.worker}.lock"

    @property
    def handover_path(self) -> Path:
        """Unix socket that gives the listening socket to a successor."""
        return Path(self.run_directory) / f"relay-{self.worker}.handover"

    def digest(self) -> str:
        """Of everything but the file descriptor's number."""
        return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(self, listen_fd=-1))).hexdigest()[:16]


class Address(msgspec.Struct, frozen=True):
    """Either a host and port or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""


def listen_address(text: str) -> Address:
    """``host:port`` or ``[v6]:port``. Raises BadInput."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise bad("relay.listen", f"{text!r} is not host:port", "write for example 127.0.0.1:8100")
    return Address(host=host.strip("[]"), port=int(port))


def upstream_address(url: str) -> Address:
    """Raises BadInput for anything but ``http://host[:port]`` and ``unix:/path``."""
    if url.startswith("unix:"):
        path = url.removeprefix("unix:")
        if not path.startswith("/"):
            raise bad("engine.url", f"{url!r} names no absolute path", "write for example unix:/run/vllm.sock")
        check_socket_path(path, "engine.url")
        return Address(path=path)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise bad("engine.url", "its port is not a number", "write for example http://127.0.0.1:8000") from None
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/") or parts.query or parts.username:
        raise bad(
            "engine.url",
            "the relay forwards to http://host:port or unix:/path only (no TLS, path or user)",
            "write for example http://127.0.0.1:8000",
        )
    return Address(host=parts.hostname, port=port or 80)


def check_socket_path(path: str | Path, knob: str) -> None:
    """Raises BadInput when ``path`` does not fit into a Unix socket's address."""
    length = len(os.fsencode(path))
    if length > MAX_SOCKET_PATH_BYTES:
        raise bad(
            knob,
            f"the Unix socket path {path} has {length} bytes; the system allows {MAX_SOCKET_PATH_BYTES}",
            "choose a shorter directory",
        )


def bad(path: str, what: str, cure: str) -> BadInput:
    """One mistake in the configuration."""
    return BadInput([Problem(where="", path=path, what=what, cure=cure)])
