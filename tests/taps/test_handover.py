"""Locks that cannot be stale, and a listening socket that goes from hand to hand."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from watchtower.taps.handover import Handed, HandoverServer, WorkerLock, holder, take_over
from watchtower.taps.listening import bound, name_of
from watchtower.taps.socket_addresses import Address
from watchtower.vocabulary.errors import BadInput, NotReachable, Refused


def test_a_lock_names_its_living_holder_and_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "relay-0.lock"
    assert holder(path) is None
    first, second = WorkerLock(path), WorkerLock(path)
    assert first.take(1234)
    assert not second.take(5678)
    assert holder(path) == 1234
    first.give_up()
    assert holder(path) is None, "the file is still there, but nobody holds it"
    assert second.take(5678)
    second.give_up()


async def test_the_successor_gets_the_very_same_socket(tmp_path: Path) -> None:
    path = tmp_path / "relay-0.handover"
    path.write_text("left over from a crash")
    listening = bound(Address(host="127.0.0.1"))
    handed = Handed(pid=os.getpid(), digest="d", listen="127.0.0.1:0")
    server = HandoverServer(asyncio.get_running_loop(), path, listening, handed)
    assert path.stat().st_mode & 0o777 == 0o600
    received, said = await asyncio.to_thread(take_over, path)

    assert said == handed
    assert name_of(received) == name_of(listening)
    assert os.fstat(received.fileno()).st_ino == os.fstat(listening.fileno()).st_ino
    server.close()
    listening.close()
    client = socket.create_connection(received.getsockname())  # whoever was first may close: nobody is refused
    accepted, _ = received.accept()
    for end in (client, accepted, received):
        end.close()
    assert not path.exists()


def test_nobody_to_take_over_from_is_an_answer(tmp_path: Path) -> None:
    with pytest.raises(NotReachable):
        take_over(tmp_path / "relay-0.handover")


async def test_a_worker_whose_pid_is_somebody_else_here_is_refused_with_the_cure(tmp_path: Path) -> None:
    """Taken at its word, a relay that is pid 1 of its own container would be the daemon itself in the daemon's."""
    path = tmp_path / "relay-0.handover"
    listening = bound(Address(host="127.0.0.1"))
    handed = Handed(pid=1 if os.getpid() != 1 else 2, digest="d", listen="127.0.0.1:0")
    server = HandoverServer(asyncio.get_running_loop(), path, listening, handed)
    with pytest.raises(Refused, match="another PID namespace · let both containers share one"):
        await asyncio.to_thread(take_over, path)
    server.close()
    listening.close()


async def test_a_path_that_is_too_long_is_said_so(tmp_path: Path) -> None:
    listening = bound(Address(host="127.0.0.1"))
    handed = Handed(pid=os.getpid(), digest="d", listen="")
    with pytest.raises(BadInput, match="the system allows 107"):
        HandoverServer(asyncio.get_running_loop(), tmp_path / ("x" * 108), listening, handed)
    listening.close()
