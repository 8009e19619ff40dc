"""The command line's way to the daemon: every way to fail has its exit code and a sentence with the cure."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from watchtower import cli
from watchtower.programs.client import SOCKET_NAME, DaemonClient
from watchtower.vocabulary.errors import ExitCode, NotReachable, Refused

# httpcore leaves a Unix socket that it could not connect to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@contextmanager
def answering(directory: Path, status: str, body: str) -> Iterator[list[bytes]]:
    """A daemon that gives one answer; yields what it was asked."""
    asked: list[bytes] = []
    answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(directory / SOCKET_NAME))
        listener.listen(4)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    received = b""
                    while b"\r\n\r\n" not in received:
                        received += connection.recv(65536)
                    head, _, rest = received.partition(b"\r\n\r\n")
                    named = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
                    length = int(named.get(b"content-length", 0))
                    while len(rest) < length:
                        rest += connection.recv(65536)
                    asked.append(head + b"\r\n\r\n" + rest)
                    connection.sendall(answer)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def test_an_answer_is_handed_on(tmp_path: Path) -> None:
    with answering(tmp_path, "200 OK", '{"target": "engine"}') as asked:
        assert DaemonClient(tmp_path).get("/api/v1/status") == {"target": "engine"}
    assert asked[0].startswith(b"GET /api/v1/status HTTP/1.1\r\n")


def test_a_command_carries_who_why_and_how_long(tmp_path: Path) -> None:
    with answering(tmp_path, "200 OK", "{}") as asked:
        DaemonClient(tmp_path).command("pause", author="ann", reason="deploying", seconds=60)
    head, _, body = asked[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/v1/commands/pause ")
    assert body == b'{"author":"ann","reason":"deploying","seconds":60}'


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        ("403 Forbidden", '{"error": "needs the token"}', Refused, "needs the token"),
        ("404 Not Found", '{"error": "no incident"}', Refused, "no incident"),
        ("409 Conflict", '{"error": "nothing is paused"}', Refused, "nothing is paused"),
        ("400 Bad Request", "{}", Refused, "HTTP 400"),
        ("503 Unavailable", '{"error": "not yet carried out"}', NotReachable, "not yet carried out"),
        ("500 Internal Server Error", "Internal Server Error", NotReachable, "no Watchtower"),
        ("200 OK", "<html>another server</html>", NotReachable, "no Watchtower"),
    ],
)
def test_every_no_is_our_own_error_with_the_daemons_sentence(
    tmp_path: Path, status: str, body: str, error: type[Exception], says: str
) -> None:
    with answering(tmp_path, status, body), pytest.raises(error, match=says):
        DaemonClient(tmp_path).get("/api/v1/status")


def test_nobody_there_names_the_socket_and_the_cure(tmp_path: Path) -> None:
    with pytest.raises(NotReachable) as caught:
        DaemonClient(tmp_path).get("/api/v1/status")
    assert str(tmp_path / SOCKET_NAME) in str(caught.value)
    assert "watchtower run" in str(caught.value) and "--state-dir" in str(caught.value)


def test_a_socket_that_a_dead_daemon_left_behind_is_nobody_there(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / SOCKET_NAME))
    with pytest.raises(NotReachable):
        DaemonClient(tmp_path).get("/api/v1/status")


# ── exit codes ──────────────────────────────────────────────────────────────────────────────────


class Daemon:
    """Stands in for ``DaemonClient`` in these tests."""

    def __init__(self, status: dict[str, Any]) -> None:
        self.status = status
        self.commands: list[tuple[str, str, str, float]] = []

    def get(self, path: str) -> dict[str, Any]:
        return {"incidents": []} if path.endswith("incidents") else self.status

    def command(self, verb: str, *, author: str, reason: str, seconds: float) -> None:
        self.commands.append((verb, author, reason, seconds))


def ran(monkeypatch: pytest.MonkeyPatch, daemon: Daemon, *arguments: str) -> int:
    monkeypatch.setattr("watchtower.programs.client.DaemonClient", lambda state_directory: daemon)
    return outcome(monkeypatch, *arguments, "--state-dir", ".")


def outcome(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["watchtower", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ({"headline": {"exit_code": code.value}}, code)
        for code in (ExitCode.OK, ExitCode.PROBLEM_FOUND, ExitCode.UNDECIDED, ExitCode.UNREACHABLE)
    ],
)
def test_status_ends_with_the_exit_code_of_the_headline(
    monkeypatch: pytest.MonkeyPatch, status: dict[str, Any], code: ExitCode
) -> None:
    assert ran(monkeypatch, Daemon(status), "status", "--json") == code


def test_without_a_daemon_every_question_ends_with_unreachable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["status"], ["incidents"], ["explain"], ["pause", "-r", "x"], ["resume"], ["ack", "-r", "x"]):
        assert outcome(monkeypatch, *command, "--state-dir", str(tmp_path)) == ExitCode.UNREACHABLE, command
        told = capsys.readouterr()
        assert told.err.startswith("watchtower: no Watchtower answers on ")
        assert told.out.startswith("Watchtower does not answer, so nobody watches") == (command == ["status"])


def test_a_refused_command_ends_with_refused_and_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(tmp_path, "409 Conflict", '{"error": "nothing is paused"}'):
        assert outcome(monkeypatch, "resume", "--state-dir", str(tmp_path)) == ExitCode.REFUSED
    told = capsys.readouterr()
    assert (told.err, told.out) == ("watchtower: nothing is paused\n", "")


def test_pause_is_in_minutes_and_signed_by_the_person_behind_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ann")
    daemon = Daemon({})
    assert ran(monkeypatch, daemon, "pause", "-r", "deploying", "--minutes", "30") == ExitCode.OK
    assert daemon.commands == [("pause", "ann", "deploying", 1800)]


def test_ack_takes_the_id_that_the_alert_names(monkeypatch: pytest.MonkeyPatch) -> None:
    daemon = Daemon({"incident": {"id": "inc-2"}})
    assert ran(monkeypatch, daemon, "ack", "inc-2", "--resume", "-r", "x") == ExitCode.OK
    assert [verb for verb, *_ in daemon.commands] == ["ack_resume"]


def test_ack_of_another_incident_releases_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon = Daemon({"incident": {"id": "inc-2"}})
    assert ran(monkeypatch, daemon, "ack", "inc-1", "-r", "x") == ExitCode.REFUSED
    assert daemon.commands == []
    assert "the open incident is inc-2" in capsys.readouterr().err
