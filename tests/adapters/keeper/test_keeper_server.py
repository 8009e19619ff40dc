"""The keeper's socket: who is listened to, and what a question may look like."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import msgspec
import pytest

from tests.strangers import STRANGER, ask_as, needs_root
from watchtower.adapters.keeper.keeper_client import ask
from watchtower.adapters.keeper.keeper_server import KeeperServer
from watchtower.adapters.keeper.protocol import (
    LINE_BYTES,
    Confirmed,
    Fence,
    KeeperTrouble,
    Observe,
    Observed,
    Request,
    Response,
)
from watchtower.vocabulary.errors import ProtocolFault

OBSERVE = msgspec.json.encode(Observe()) + b"\n"


class Keeper:
    """Answers as it is told, and remembers what reached it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "keeper.sock"
        self.asked: list[Request] = []
        self.answer: Response | Exception = Observed(incarnation=None, because="never started")
        self.server = KeeperServer(str(self.path), self._respond)
        self._thread = Thread(target=self.server.serve)
        self._thread.start()

    def _respond(self, request: Request) -> Response:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def raw(self, question: bytes) -> bytes:
        """What comes back for these bytes."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)
            line.connect(str(self.path))
            try:
                line.sendall(question)
                line.shutdown(socket.SHUT_WR)
            except BrokenPipeError:
                pass
            answer = b""
            try:
                while part := line.recv(LINE_BYTES):
                    answer += part
            except ConnectionResetError:
                pass
            return answer

    def close(self) -> None:
        self.server.close()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(tmp_path)
    yield keeper
    keeper.close()


@needs_root
def test_a_process_of_another_user_is_not_listened_to(keeper: Keeper) -> None:
    assert ask_as(STRANGER, keeper.path, OBSERVE) == b""
    assert keeper.asked == [], "the question was not even read"


@needs_root
def test_a_process_of_the_same_user_is(keeper: Keeper) -> None:
    assert b"never started" in ask_as(os.geteuid(), keeper.path, OBSERVE)
    assert keeper.asked == [Observe()]


def test_nobody_else_may_even_open_the_socket(keeper: Keeper) -> None:
    assert keeper.path.stat().st_mode & 0o777 == 0o600


def test_each_connection_gets_its_answer(keeper: Keeper) -> None:
    assert ask(str(keeper.path), Observe(), Observed, 5.0).because == "never started"
    keeper.answer = Confirmed(yes=True)
    assert ask(str(keeper.path), Fence(3), Confirmed, 5.0).yes
    assert keeper.asked == [Observe(), Fence(3)]


@pytest.mark.parametrize("question", [b"nonsense\n", b'{"ask":"launch"}\n', b"[]\n"])
def test_a_question_that_cannot_be_read_is_answered_so(keeper: Keeper, question: bytes) -> None:
    answer = msgspec.json.decode(keeper.raw(question), type=Response)
    assert answer == KeeperTrouble("the question cannot be read")
    assert keeper.asked == []


@pytest.mark.parametrize("question", [b"", b'{"ask":"observe"}', b"x" * (LINE_BYTES + 2) + b"\n"])
def test_half_a_question_and_one_without_end_get_no_answer(keeper: Keeper, question: bytes) -> None:
    assert keeper.raw(question) == b""
    assert keeper.asked == []


def test_a_failure_of_the_keeper_is_told_by_its_kind_alone(keeper: Keeper) -> None:
    keeper.answer = RuntimeError("a secret path")
    with pytest.raises(ProtocolFault, match="the keeper failed: RuntimeError") as raised:
        ask(str(keeper.path), Observe(), Observed, 5.0)
    assert "secret" not in str(raised.value)


def test_closing_takes_the_socket_away(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    keeper.close()
    assert not keeper.path.exists()
