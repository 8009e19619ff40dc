"""How addresses are written in the configuration: where clients connect, and where the engine is reached."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from watchtower.vocabulary.errors import BadInput, Problem

MAX_SOCKET_PATH_BYTES: Final = 107
"""``sun_path`` has 108 bytes, the last of them NUL (unix(7))."""


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
