"""Whose word is taken for a relay worker's of this target."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from watchtower.services.relaying.admission import Admission
from watchtower.taps.handover import WorkerLock
from watchtower.vocabulary.facts import RelayHello

ENGINE, CLIENTS = "http://127.0.0.1:8000", "127.0.0.1:8100"
PID = os.getpid()
HELLO = RelayHello(at=1, worker=0, pid=PID, version="1", listening=CLIENTS, upstream=ENGINE)


@pytest.fixture
def admission(tmp_path: Path) -> Admission:
    (tmp_path / "ours").mkdir()
    (tmp_path / "other").mkdir()
    admission = Admission(tmp_path / "ours", ENGINE)
    admission.listening = CLIENTS
    return admission


@pytest.fixture
def lock(admission: Admission, tmp_path: Path) -> Iterator[WorkerLock]:
    lock = WorkerLock(tmp_path / "ours" / "relay-0.lock")
    assert lock.take(PID)
    yield lock
    lock.give_up()


def hello(**changed: object) -> RelayHello:
    return msgspec.structs.replace(HELLO, **changed)


def test_a_worker_that_holds_our_lock_and_names_our_traffic_is_admitted(admission: Admission, lock: WorkerLock) -> None:
    assert admission.refusal(PID, HELLO) == ""


def test_so_is_one_that_only_ends_what_is_open(admission: Admission, tmp_path: Path) -> None:
    """Also by a daemon that was not there when it was asked to leave."""
    lock = WorkerLock(tmp_path / "ours" / f"leaving-{PID}.lock")
    assert lock.take(PID)
    assert admission.refusal(PID, HELLO) == ""
    lock.remove()
    assert admission.refusal(PID, HELLO) != ""


@pytest.mark.parametrize(
    ("said", "because"),
    [
        (hello(pid=PID + 1), "it calls itself pid"),
        (hello(upstream="http://127.0.0.1:9"), "it forwards to http://127.0.0.1:9, not to http://127.0.0.1:8000"),
        (hello(listening="127.0.0.1:9"), "it listens on 127.0.0.1:9, not on 127.0.0.1:8100"),
    ],
)
def test_the_same_process_is_refused_for_what_it_says(
    admission: Admission, lock: WorkerLock, said: RelayHello, because: str
) -> None:
    assert admission.refusal(PID, said).startswith(because)


def test_a_worker_of_another_state_directory_is_refused(admission: Admission, tmp_path: Path) -> None:
    theirs = WorkerLock(tmp_path / "other" / "relay-0.lock")
    assert theirs.take(PID)
    assert admission.refusal(PID, HELLO) == f"it holds no lock in {tmp_path / 'ours'}"
    theirs.give_up()


def test_a_lock_of_ours_that_somebody_else_holds_admits_nobody_else(admission: Admission, tmp_path: Path) -> None:
    lock = WorkerLock(tmp_path / "ours" / "relay-0.lock")
    assert lock.take(PID + 1)
    assert admission.refusal(PID, HELLO).startswith("it holds no lock")
    lock.give_up()


def test_one_that_we_asked_to_leave_tells_of_its_last_streams_from_wherever_it_listened(admission: Admission) -> None:
    admission.leaving.add(PID)
    assert admission.refusal(PID, hello(listening="127.0.0.1:9")) == ""
    assert admission.refusal(PID, hello(upstream="http://127.0.0.1:9")) != "", "that is another engine's traffic"


def test_before_we_know_where_clients_connect_the_lock_decides(admission: Admission, lock: WorkerLock) -> None:
    admission.listening = ""
    assert admission.refusal(PID, hello(listening="127.0.0.1:9")) == ""
