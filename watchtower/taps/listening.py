"""The one listening socket: inherited if there is one, bound otherwise."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from typing import Final

from watchtower.taps.socket_addresses import Address, bad

_FIRST_INHERITED: Final = 3
BACKLOG: Final = 2048


def inherited(environment: MutableMapping[str, str], pid: int) -> socket.socket | None:
    """The socket that a service manager passed (sd_listen_fds(3)); the variables are removed, as it asks."""
    count = environment.pop("LISTEN_FDS", "")
    meant_for = environment.pop("LISTEN_PID", "")
    environment.pop("LISTEN_FDNAMES", None)
    if meant_for != str(pid) or not count.isdigit() or int(count) < 1:
        return None
    return adopted(_FIRST_INHERITED)


def adopted(descriptor: int) -> socket.socket:
    """Raises BadInput when ``descriptor`` is no socket."""
    try:
        listening = socket.socket(fileno=descriptor)
    except OSError as exc:
        raise bad("relay.listen", f"descriptor {descriptor} is no socket", "pass a listening TCP socket") from exc
    os.set_inheritable(descriptor, False)
    listening.setblocking(False)
    return listening


def bound(address: Address) -> socket.socket:
    """A new listening socket. Raises BadInput when the address is taken or not ours."""
    knob = f"{address.host}:{address.port}"
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as exc:
        raise bad("relay.listen", f"{knob}: the host is not known", "use an address of this machine") from exc
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except OSError as exc:
        listening.close()
        what = f"cannot listen on {knob}: {os.strerror(exc.errno or 0).lower()}"
        raise bad("relay.listen", what, "stop whoever listens there, or choose another host:port") from exc
    return listening


def name_of(listening: socket.socket) -> str:
    """``host:port`` the socket is bound to."""
    where = listening.getsockname()
    if isinstance(where, str):
        return f"unix:{where}"
    host, port = where[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
