"""Asks a keeper one question, and waits for the answer, blocking.

A keeper that cannot be reached, does not answer in time, or answers something else is an exception here; what that
means (usually UNKNOWN) is for the caller to say.
"""

from __future__ import annotations

import os
import socket
from typing import TypeVar

import msgspec

from watchtower.adapters.keeper.protocol import LINE_BYTES, KeeperTrouble, Request, Response, reachable
from watchtower.vocabulary.errors import Deadline, NotReachable, ProtocolFault

Wanted = TypeVar("Wanted", bound=msgspec.Struct)

_decode = msgspec.json.Decoder(Response).decode


def ask(path: str, request: Request, wanted: type[Wanted], seconds: float) -> Wanted:
    """Send ``request`` to the keeper at ``path`` and return its answer.

    Raises ``NotReachable`` when nothing was sent, ``Deadline`` when no answer came within ``seconds`` of silence, and
    ``ProtocolFault`` for an answer that is none (also: the keeper died before answering)."""
    directory = -1
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as line:
            line.settimeout(seconds)
            try:
                address, directory = reachable(path)
                line.connect(address)
            except OSError as problem:
                raise NotReachable(f"no keeper answers on its socket ({problem.strerror or 'timeout'})") from problem
            line.sendall(msgspec.json.encode(request) + b"\n")
            answer = _read_line(line)
    except TimeoutError as problem:
        raise Deadline(f"the keeper did not answer within {seconds:g} s") from problem
    except OSError as problem:
        raise ProtocolFault("the keeper went away before it answered") from problem
    finally:
        if directory >= 0:
            os.close(directory)
    try:
        response = _decode(answer)
    except msgspec.MsgspecError as problem:
        raise ProtocolFault("the keeper's answer cannot be read") from problem
    if isinstance(response, KeeperTrouble):
        raise ProtocolFault(response.because)
    if not isinstance(response, wanted):
        raise ProtocolFault(f"the keeper answered {type(response).__name__} to {type(request).__name__}")
    return response


def _read_line(line: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        part = line.recv(LINE_BYTES)
        if not part:
            raise ProtocolFault("the keeper went away before it answered")
        received += part
        if len(received) > LINE_BYTES:
            raise ProtocolFault("the keeper's answer is too long")
    return received
