"""The daemon's listeners: TCP and the local Unix socket, each with a server of its own inside the daemon's loop."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from watchtower.vocabulary.errors import BadInput, Problem


class Server(uvicorn.Server):
    """Signals belong to the daemon, not to its web face."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def make_server(application: Starlette) -> Server:
    config = uvicorn.Config(
        application,
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=2,
        server_header=False,
        proxy_headers=False,
        ws="none",
    )
    return Server(config)


def bind_tcp(listen: str) -> socket.socket:
    """A listening socket on ``host:port``. Raises BadInput with the cure when it cannot be had."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    try:
        if not host:
            raise ValueError("it names no host")  # the empty host would be every address of this machine
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, int(port)))
        sock.listen(128)
    except (OSError, ValueError, OverflowError) as problem:
        what = f"cannot listen on {listen!r} ({getattr(problem, 'strerror', None) or problem})"
        cure = "choose a free host:port, e.g. 127.0.0.1:9470, or stop what listens there"
        raise BadInput([Problem("configuration", "web.listen", what, cure)]) from problem
    return sock


def bind_unix(path: Path) -> socket.socket:
    """The local control socket, mode 0600: who may open the file may change things."""
    if len(str(path).encode()) > 107:
        what = f"{path} is longer than the 107 bytes a Unix socket path may have"
        raise BadInput([Problem("configuration", "state_directory", what, "choose a shorter state_directory")])
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(str(path))
    path.chmod(0o600)
    sock.listen(64)
    return sock
