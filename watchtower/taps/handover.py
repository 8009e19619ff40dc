"""Who lives, and the passing on of the listening socket.

A worker holds an flock on its lock file for as long as it accepts clients, so "is worker n alive?" has an answer that
no stale file can forge. Over a Unix socket beside it any process of the same user gets the listening socket itself
(SCM_RIGHTS): a restarted daemon, or a successor, goes on accepting on the very same socket, and no client in its
queue is lost. SO_REUSEPORT would lose them: closing one of two such listeners resets its queue.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import struct
from pathlib import Path
from typing import IO, Final

import msgspec

from watchtower.taps.relay_plan import LEAVING
from watchtower.taps.socket_addresses import check_socket_path
from watchtower.vocabulary.errors import NotReachable, Refused

RETIRE: Final = signal.SIGUSR1
"""Asks a worker to let another take its place: to accept nobody else, and to leave when its last stream has ended."""

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: struct ucred (unix(7))


class Handed(msgspec.Struct, frozen=True, kw_only=True):
    """What travels beside the listening socket."""

    pid: int
    digest: str
    """Of the worker's plan."""
    listen: str
    """As its plan says, which is not what it is bound to when that was port 0."""
    retires: bool = False
    """It knows ``RETIRE``; a worker of an earlier version would die of it."""


class WorkerLock:
    """``<run_directory>/relay-<n>.lock``, or ``LEAVING``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def take(self, pid: int) -> bool:
        """False: another worker of this number lives."""
        file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        file.truncate()
        file.write(f"{pid}\n")
        file.flush()
        self._file = file
        return True

    def give_up(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """Give it up for good: nobody will take it again."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
        self.give_up()


def lock_holders(directory: Path) -> set[int]:
    """Pids of the living workers of a run directory: those that accept clients, and those that only end what is open.
    A worker that retired before this was written down is not among them."""
    paths = (*directory.glob("relay-*.lock"), *directory.glob(LEAVING.format(pid="*")))
    return {pid for pid in map(holder, paths) if pid is not None}


def holder(path: Path) -> int | None:
    """Pid of the living worker that holds the lock; None when nobody does."""
    try:
        with path.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read().strip()
                return int(text) if text.isdigit() else None
            return None
    except OSError:
        return None


def same_user(connection: socket.socket) -> bool:
    """The peer of a Unix socket runs as us (or as root)."""
    _, uid, _ = _credentials(connection)
    return uid in (os.getuid(), 0)


def peer_pid(connection: socket.socket) -> int:
    """Who made the other end, as a pid of our own PID namespace; 0 when it has none there."""
    return _credentials(connection)[0]


def _credentials(connection: socket.socket) -> tuple[int, int, int]:
    pid, uid, gid = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid, gid


class HandoverServer:
    """Gives the listening socket to every peer of the same user that connects."""

    def __init__(self, loop: asyncio.AbstractEventLoop, path: Path, listening: socket.socket, handed: Handed) -> None:
        """Raises BadInput when ``path`` is too long. The caller holds the worker's lock, so an old file is stale."""
        check_socket_path(path, "state_directory")
        self._loop = loop
        self._path = path
        self._listening = listening
        self._message = msgspec.json.encode(handed)
        path.unlink(missing_ok=True)
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.setblocking(False)
        self._server.bind(os.fspath(path))
        path.chmod(0o600)
        self._server.listen(8)
        loop.add_reader(self._server.fileno(), self._give)

    def _give(self) -> None:
        try:
            connection, _ = self._server.accept()
        except OSError:
            return
        with connection:
            if same_user(connection):
                try:
                    socket.send_fds(connection, [self._message], [self._listening.fileno()])
                except OSError:
                    pass  # the peer left; it will ask again if it still wants to

    def close(self) -> None:
        self._loop.remove_reader(self._server.fileno())
        self._server.close()
        self._path.unlink(missing_ok=True)


def take_over(path: Path, timeout_seconds: float = 2.0) -> tuple[socket.socket, Handed]:
    """The listening socket of the living worker behind ``path``. Blocks up to the timeout. Raises NotReachable, and
    Refused when the worker's pid means somebody else here: it lives in another PID namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_seconds)
        try:
            connection.connect(os.fspath(path))
            pid = peer_pid(connection)
            message, descriptors, _, _ = socket.recv_fds(connection, 4096, 1)
        except OSError as exc:
            raise NotReachable(f"the relay worker behind {path} gave no listening socket") from exc
    if len(descriptors) != 1:
        raise NotReachable(f"the relay worker behind {path} gave no listening socket")
    listening = socket.socket(fileno=descriptors[0])
    try:
        handed = msgspec.json.decode(message, type=Handed)
    except msgspec.MsgspecError as exc:
        listening.close()
        raise NotReachable(f"the relay worker behind {path} speaks another version") from exc
    if handed.pid != pid:
        listening.close()
        raise Refused(
            f"the relay worker behind {path} calls itself pid {handed.pid}, which is {pid or 'nobody'} here: it lives"
            " in another PID namespace · let both containers share one (Compose: pid: service:relay)"
        )
    return listening, handed
