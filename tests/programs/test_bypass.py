"""The order that must work when nothing else does."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from tests.programs.test_client import answering, outcome
from watchtower.programs import bypass
from watchtower.programs.bypass import order_bypass, sentence
from watchtower.programs.client import SOCKET_NAME
from watchtower.taps.bypass import bypass_path, read_bypass
from watchtower.vocabulary.errors import ExitCode, NotReachable, Refused

# httpcore leaves a Unix socket that it could not connect to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


def order(directory: Path, on: bool = True) -> dict[str, object]:
    return order_bypass(directory, on=on, author="anna", reason="is it us?", wall=1000.0)


def test_without_a_daemon_the_file_is_written_here_and_removed_here(tmp_path: Path) -> None:
    done = order(tmp_path)
    written = read_bypass(bypass_path(tmp_path))
    assert written is not None
    assert (written.author, written.reason, written.since_wall) == ("anna", "is it us?", 1000.0)
    assert (done["daemon"], done["workers"]) == (False, None)
    assert "no daemon answers" in sentence(done) and str(bypass_path(tmp_path)) in sentence(done)
    with pytest.raises(Refused, match="anna had it bypassed already"):
        order(tmp_path)
    order(tmp_path, on=False)
    assert read_bypass(bypass_path(tmp_path)) is None
    with pytest.raises(Refused, match="is not bypassed"):
        order(tmp_path, on=False)


def test_a_directory_that_is_not_there_is_said_with_its_cure(tmp_path: Path) -> None:
    with pytest.raises(NotReachable, match="--state-dir"):
        order(tmp_path / "nowhere")


def test_a_daemon_that_answers_is_asked_and_its_workers_are_waited_for(tmp_path: Path) -> None:
    status = {"relay": {"workers": 2, "bypass": {"workers": 2}}}
    with answering(tmp_path, "200 OK", json.dumps(status)) as asked:
        done = order(tmp_path)
    assert asked[0].startswith(b"POST /api/v1/commands/bypass ")
    assert b"is it us?" in asked[0]
    assert read_bypass(bypass_path(tmp_path)) is None, "the daemon writes it"
    assert sentence(done) == "2 of 2 relay workers: forwards only; nothing of the traffic is read"


def test_workers_that_do_not_obey_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bypass, "OBEYED_SECONDS", 0.0)
    with answering(tmp_path, "200 OK", json.dumps({"relay": {"workers": 2, "bypass": {"workers": 1}}})):
        assert sentence(order(tmp_path)).startswith("1 of 2 relay workers")
        assert sentence(order(tmp_path, on=False)).startswith("1 of 2 relay workers: reads again")


def test_a_daemon_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bypass, "PATIENCE_SECONDS", 0.1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as hung:
        hung.bind(str(tmp_path / SOCKET_NAME))
        hung.listen(4)
        assert order(tmp_path)["daemon"] is False
    assert read_bypass(bypass_path(tmp_path)) is not None


def test_at_the_terminal_a_reason_is_needed_to_begin_and_none_to_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = ("--state-dir", str(tmp_path))
    assert outcome(monkeypatch, "bypass", *state) == ExitCode.BAD_INPUT
    assert "--reason" in capsys.readouterr().err
    assert outcome(monkeypatch, "bypass", *state, "--reason", "is it us?", "--json") == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["on"] is True
    assert outcome(monkeypatch, "bypass", *state, "--off") == ExitCode.OK
    assert "reads again" in capsys.readouterr().out
    assert os.listdir(tmp_path) == []
