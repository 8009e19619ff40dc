"""Asking a keeper: what is an answer, and what is not."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import msgspec
import pytest

from watchtower.adapters.keeper.keeper_client import ask
from watchtower.adapters.keeper.protocol import LINE_BYTES, Confirmed, KeeperTrouble, Observe, Observed, Response
from watchtower.vocabulary.errors import Deadline, NotReachable, ProtocolFault


class Scripted:
    """Reads one question, then writes these bytes and hangs up; without bytes it stays silent."""

    def __init__(self, path: Path, says: bytes | None) -> None:
        self._listening = socket.socket(socket.AF_UNIX)
        directory = os.open(path.parent, os.O_PATH)
        self._listening.bind(f"/proc/self/fd/{directory}/{path.name}")
        os.close(directory)
        self._listening.listen()
        self._says = says
        self._open: list[socket.socket] = []
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        try:
            line, _ = self._listening.accept()
        except OSError:
            return
        line.recv(LINE_BYTES)
        if self._says is None:
            self._open.append(line)
            return
        with line:
            try:
                line.sendall(self._says)
            except OSError:
                pass

    def close(self) -> None:
        try:
            self._listening.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listening.close()
        self._thread.join(10)
        for line in self._open:
            line.close()


@pytest.fixture
def keepers() -> Iterator[list[Scripted]]:
    made: list[Scripted] = []
    yield made
    for keeper in made:
        keeper.close()


def line(answer: Response) -> bytes:
    return msgspec.json.encode(answer) + b"\n"


def test_an_answer_of_the_kind_that_was_wanted_is_returned(keepers: list[Scripted], tmp_path: Path) -> None:
    keepers.append(Scripted(tmp_path / "k.sock", line(Observed(incarnation=None, because="never started"))))
    assert ask(str(tmp_path / "k.sock"), Observe(), Observed, 5.0).because == "never started"


def test_a_socket_too_deep_for_an_address_is_reached_as_well(keepers: list[Scripted], tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    keepers.append(Scripted(deep / "k.sock", line(Observed(incarnation=None))))
    assert ask(str(deep / "k.sock"), Observe(), Observed, 5.0).incarnation is None


@pytest.mark.parametrize(
    ("says", "because"),
    [
        (b"", "went away before it answered"),
        (b'{"answer":"seen"', "went away before it answered"),
        (b"nonsense\n", "cannot be read"),
        (b"x" * (LINE_BYTES + 10) + b"\n", "too long"),
        (line(Confirmed(yes=True)), "answered Confirmed to Observe"),
        (line(KeeperTrouble("the question cannot be read")), "the question cannot be read"),
    ],
    ids=["nothing", "half a line", "garbage", "no end", "another answer", "trouble"],
)
def test_anything_else_is_a_fault_that_says_what_was_wrong(
    keepers: list[Scripted], tmp_path: Path, says: bytes, because: str
) -> None:
    keepers.append(Scripted(tmp_path / "k.sock", says))
    with pytest.raises(ProtocolFault, match=because):
        ask(str(tmp_path / "k.sock"), Observe(), Observed, 5.0)


def test_silence_ends_at_the_deadline(keepers: list[Scripted], tmp_path: Path) -> None:
    keepers.append(Scripted(tmp_path / "k.sock", None))
    with pytest.raises(Deadline, match=r"did not answer within 0\.1 s"):
        ask(str(tmp_path / "k.sock"), Observe(), Observed, 0.1)


def test_without_a_keeper_nothing_was_sent(tmp_path: Path) -> None:
    with pytest.raises(NotReachable, match="no keeper answers"):
        ask(str(tmp_path / "k.sock"), Observe(), Observed, 1.0)
    with pytest.raises(NotReachable):
        ask(str(tmp_path / ("d" * 120) / "k.sock"), Observe(), Observed, 1.0)
