"""Workers that are here already: which of them stay, which go and how, and whose listening socket goes on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchtower.services.relaying.finding import FoundWorkers, find_workers
from watchtower.services.relaying.worker_plans import WorkerPlans
from watchtower.settings import RelaySettings
from watchtower.taps.handover import RETIRE, WorkerLock

LISTEN = "127.0.0.1:0"
WORKER = """
import asyncio, os, signal, socket, sys
from pathlib import Path
from watchtower.taps.handover import RETIRE, Handed, HandoverServer, WorkerLock

async def main(lock, handover, digest, listen, retires):
    loop, leave = asyncio.get_running_loop(), asyncio.Event()
    status = []
    for number in (signal.SIGTERM, RETIRE) if retires else (signal.SIGTERM,):
        loop.add_signal_handler(number, lambda number=number: (status.append(int(number)), leave.set()))
    held = WorkerLock(Path(lock))
    assert held.take(os.getpid())
    listening = socket.create_server(("127.0.0.1", 0))
    if handover:
        handed = Handed(pid=os.getpid(), digest=digest, listen=listen, retires=retires == "retires")
        server = HandoverServer(loop, Path(handover), listening, handed)
    print(listening.getsockname()[1], flush=True)
    await leave.wait()
    os._exit(status[0])

asyncio.run(main(*sys.argv[1:]))
"""


class Plain:
    """A process with a worker's lock and a worker's handover, and nothing else of one."""

    def __init__(
        self, plans: WorkerPlans, number: int, *, digest: str, listen: str, hands: bool, retires: bool
    ) -> None:
        plan = plans.of(number)
        arguments = (str(plan.lock_path), str(plan.handover_path) if hands else "", digest or plan.digest(), listen)
        self._process = subprocess.Popen(
            [sys.executable, "-c", WORKER, *arguments, "retires" if retires else ""], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.pid = self._process.pid

    def asked(self) -> signal.Signals:
        """How it was asked to leave."""
        return signal.Signals(self._process.wait(10))

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        self._process.kill()
        with self._process:
            pass


class House:
    def __init__(self, directory: Path, workers: int = 1) -> None:
        self.plans = WorkerPlans(
            RelaySettings(listen=LISTEN, workers=workers), "http://127.0.0.1:1", directory, drain_seconds=1
        )
        self.made: list[Plain] = []
        self.found: list[FoundWorkers] = []

    def worker(
        self, number: int = 0, *, digest: str = "", listen: str = LISTEN, hands: bool = True, retires: bool = True
    ) -> Plain:
        self.made.append(Plain(self.plans, number, digest=digest, listen=listen, hands=hands, retires=retires))
        return self.made[-1]

    def find(self) -> FoundWorkers:
        self.found.append(find_workers(self.plans))
        return self.found[-1]

    def close(self) -> None:
        for found in self.found:
            for process in (*found.adopted.values(), *found.silent.values()):
                process.let_go()
            if (kept := found.inherit(LISTEN)) is not None:
                kept.close()
        for worker in self.made:
            worker.end()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def test_a_worker_with_our_plan_is_adopted_with_its_socket(house: House) -> None:
    worker = house.worker()
    found = house.find()
    assert {number: process.pid for number, process in found.adopted.items()} == {0: worker.pid}
    kept = found.inherit(LISTEN)
    assert kept is not None
    with kept:
        assert kept.getsockname()[1] == worker.port
    assert worker.lives


@pytest.mark.parametrize(("retires", "how"), [(True, RETIRE), (False, signal.SIGTERM)])
def test_a_worker_with_another_plan_leaves_its_socket_and_is_asked_as_gently_as_it_understands(
    house: House, retires: bool, how: signal.Signals
) -> None:
    worker = house.worker(digest="another", retires=retires)
    found = house.find()
    assert found.adopted == {}
    assert worker.asked() is how
    kept = found.inherit(LISTEN)
    assert kept is not None
    with kept:
        assert kept.getsockname()[1] == worker.port, "clients in its queue are not lost"


def test_a_worker_with_our_plan_is_adopted_whatever_its_number(house: House) -> None:
    """It stood in for another, which is gone."""
    worker = house.worker(number=3)
    assert {number: process.pid for number, process in house.find().adopted.items()} == {3: worker.pid}
    assert worker.lives


def test_of_more_workers_than_are_wanted_those_with_the_highest_numbers_are_asked_to_leave(house: House) -> None:
    second, eleventh, first = house.worker(number=2), house.worker(number=10), house.worker(number=0)
    found = house.find()
    assert list(found.adopted) == [0]
    assert found.leaving == {second.pid, eleventh.pid}
    assert (second.asked(), eleventh.asked()) == (RETIRE, RETIRE)
    assert first.lives


def test_a_worker_that_would_hand_over_and_does_not_answer_is_silent_and_asked_to_retire(house: House) -> None:
    worker = house.worker(hands=False)
    found = house.find()
    assert (found.adopted, found.inherit(LISTEN)) == ({}, None)
    assert {number: process.pid for number, process in found.silent.items()} == {0: worker.pid}
    assert worker.asked() is RETIRE


def test_a_worker_too_old_to_hand_over_is_told_to_go(house: House) -> None:
    worker = house.worker(hands=False, retires=False)
    found = house.find()
    assert (found.adopted, found.silent, found.leaving) == ({}, {}, {worker.pid})
    assert worker.asked() is signal.SIGTERM


def test_what_a_worker_that_was_killed_while_it_retired_left_behind_is_cleared_away(house: House) -> None:
    dead, alive = (house.plans.of(0).leaving_path(pid) for pid in (11, 12))
    dead.write_text("11\n")
    lock = WorkerLock(alive)
    assert lock.take(12)
    house.find()
    assert (dead.exists(), alive.exists()) == (False, True)
    lock.remove()
    assert not alive.exists()


def test_a_lock_that_nobody_holds_is_no_worker(house: House, tmp_path: Path) -> None:
    (tmp_path / "relay-0.lock").write_text(f"{os.getpid()}\n")
    (tmp_path / "relay-x.lock").write_text("1\n")
    found = house.find()
    assert found.adopted == {}
    assert found.inherit(LISTEN) is None


def test_a_socket_that_was_made_for_another_address_is_not_inherited(house: House) -> None:
    house.worker(listen="127.0.0.1:9")
    assert house.find().inherit(LISTEN) is None


def test_of_several_workers_the_first_socket_is_kept_and_the_others_are_closed(tmp_path: Path) -> None:
    house = House(tmp_path, workers=2)
    try:
        first, second = house.worker(0), house.worker(1)
        found = house.find()
        assert {number: process.pid for number, process in found.adopted.items()} == {0: first.pid, 1: second.pid}
        sockets: list[socket.socket] = [listening for listening, _ in found.sockets]
        kept = found.inherit(LISTEN)
        assert kept is sockets[0]
        kept.close()
        assert sockets[1].fileno() == -1
    finally:
        house.close()
