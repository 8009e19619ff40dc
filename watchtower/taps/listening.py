"""The one listening socket: inherited if there is one, bound otherwise."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, MutableMapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

from watchtower.taps.socket_addresses import Address, bad
from watchtower.vocabulary.errors import OwnAddress, Problem

_Ip = IPv4Address | IPv6Address

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


def refuse_to_meet_itself(upstream: Address, listening: socket.socket, owned: Collection[Path]) -> None:
    """Raises OwnAddress when what is forwarded to ``upstream`` would come back to ``listening``, by whatever name, or
    would reach one of the sockets that are ``owned``."""
    if upstream.path:
        here = {os.path.realpath(path) for path in owned}
        if listening.family is socket.AF_UNIX:
            here.add(os.path.realpath(listening.getsockname()))
        back = os.path.realpath(upstream.path) in here
    else:
        back = listening.family is not socket.AF_UNIX and _reaches(upstream, listening.getsockname())
    if back:
        what = f"the engine's address is the relay's own ({name_of(listening)}): every request would come back to it"
        cure = "let the engine listen elsewhere, and name that address"
        raise OwnAddress([Problem(where="", path="engine.url", what=what, cure=cure)])


def _reaches(upstream: Address, own: tuple[str, int]) -> bool:
    if upstream.port != own[1]:
        return False
    try:
        found = socket.getaddrinfo(upstream.host, upstream.port, type=socket.SOCK_STREAM)
    except OSError:
        return False  # nobody is reached by a name that nobody knows
    listens = ip_address(own[0].partition("%")[0])
    return any(_is_own(ip_address(str(where[0]).partition("%")[0]), listens) for *_, where in found)


def _is_own(address: _Ip, listens: _Ip) -> bool:
    address, listens = _plain(address), _plain(listens)
    if address.is_unspecified:  # to connect there is to connect to ourselves
        return listens.is_unspecified or listens.is_loopback
    if listens.is_unspecified and address.version <= listens.version:  # "::" hears IPv4 as well
        return _is_local(address)
    return address == listens


def _plain(address: _Ip) -> _Ip:
    """An IPv4 address as itself, however it is written."""
    return getattr(address, "ipv4_mapped", None) or address


def _is_local(address: _Ip) -> bool:
    """One of this machine: one can be bound to it."""
    with socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(address), 0))
        except OSError:
            return False
    return True
