"""The keeper's Unix socket: one bounded JSON line in, one out, a thread per connection.

Only processes of the same user are listened to (SO_PEERCRED, besides the socket's mode 0600). A thread per connection
lets ``observe`` and ``status`` answer while ``execute`` waits for a tree to leave.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from threading import BoundedSemaphore, Thread

import msgspec

from watchtower.adapters.keeper.protocol import LINE_BYTES, KeeperTrouble, Request, Response, reachable

CONNECTIONS = 32
READ_SECONDS = 10.0
"""How long a client may take to ask."""


class KeeperServer:
    """Listens from construction; ``serve`` runs until ``close``."""

    def __init__(self, path: str, answer: Callable[[Request], Response]) -> None:
        """The caller holds the keeper's lock, so a socket found at ``path`` is a dead keeper's. Raises ``OSError``."""
        self._answer = answer
        self._path = path
        self._places = BoundedSemaphore(CONNECTIONS)
        self._decode = msgspec.json.Decoder(Request).decode
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        with suppress(FileNotFoundError):
            os.unlink(path)
        address, directory = reachable(path)
        mask = os.umask(0o177)
        try:
            self._listener.bind(address)
        finally:
            os.umask(mask)
            if directory >= 0:
                os.close(directory)
        self._listener.listen(CONNECTIONS)

    def serve(self) -> None:
        while True:
            self._places.acquire()
            try:
                line, _ = self._listener.accept()
            except OSError:  # closed
                return
            # no daemon threads: whoever asked the keeper to end still gets the answer
            Thread(target=self._converse, args=(line,), name="conversation", daemon=False).start()

    def close(self) -> None:
        with suppress(OSError):
            os.unlink(self._path)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _converse(self, line: socket.socket) -> None:
        try:
            with line, suppress(OSError):  # the client may leave at any time; what it asked for goes on
                line.settimeout(READ_SECONDS)
                if _peer_user(line) == os.geteuid() and (asked := _read_line(line)):
                    line.sendall(msgspec.json.encode(self._respond(asked)) + b"\n")
        finally:
            self._places.release()

    def _respond(self, asked: bytes) -> Response:
        try:
            request = self._decode(asked)
        except msgspec.MsgspecError:
            return KeeperTrouble("the question cannot be read")
        try:
            return self._answer(request)
        except Exception as problem:
            # the caller must see UNKNOWN, not a closed socket with no reason; a message could carry anything
            return KeeperTrouble(f"the keeper failed: {type(problem).__name__}")


def _read_line(line: socket.socket) -> bytes:
    """One line, or nothing when the client broke off or asked too much."""
    received = b""
    while not received.endswith(b"\n"):
        part = line.recv(LINE_BYTES)
        received += part
        if not part or len(received) > LINE_BYTES:
            return b""
    return received


def _peer_user(line: socket.socket) -> int:
    _, user, _ = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return int(user)
