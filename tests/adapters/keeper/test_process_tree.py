"""Identities, trees and signals, on real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from watchtower.adapters.keeper.process_tree import MARK, ProcStat, alive, incarnation_of, look, send, tree
from watchtower.testing.adapters import eventually
from watchtower.vocabulary.actions import Incarnation


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"], env={MARK: "here"}, start_new_session=True) as process:
        yield process
        process.kill()


def seen(pid: int) -> ProcStat:
    process = look(pid)
    assert process is not None
    return process


def test_a_name_with_spaces_and_parentheses_does_not_shift_the_fields() -> None:
    code = "import ctypes, signal; ctypes.CDLL(None).prctl(15, b'a) R (b', 0, 0, 0); print(flush=True); signal.pause()"
    with subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert seen(process.pid).parent == os.getpid()
        process.kill()


def test_a_process_is_alive_under_its_own_start_time_and_boot_only(sleeper: subprocess.Popen[bytes]) -> None:
    here = incarnation_of(seen(sleeper.pid))
    assert alive(here)
    assert not alive(Incarnation(here.id, str(int(here.started) - 1), here.boot_id))
    assert not alive(Incarnation(here.id, here.started, "another boot"))


def test_a_zombie_is_not_alive_and_no_member(sleeper: subprocess.Popen[bytes]) -> None:
    here = incarnation_of(seen(sleeper.pid))
    os.kill(sleeper.pid, signal.SIGKILL)
    assert eventually(lambda: seen(sleeper.pid).state == "Z")
    assert not alive(here)
    assert sleeper.pid not in [member.pid for member in tree(os.getpid(), here, "here")]


def test_a_signal_does_not_hit_whoever_got_the_number_later(sleeper: subprocess.Popen[bytes]) -> None:
    former = seen(sleeper.pid)._replace(started=1)
    send(former, signal.SIGKILL)
    with pytest.raises(subprocess.TimeoutExpired):
        sleeper.wait(0.2)
    send(seen(sleeper.pid), signal.SIGKILL)
    assert sleeper.wait(5) == -signal.SIGKILL


def test_a_tree_is_found_by_descent_by_session_and_by_mark(sleeper: subprocess.Popen[bytes]) -> None:
    here = incarnation_of(seen(sleeper.pid))
    nobody = 2**22 + 1
    assert sleeper.pid in {member.pid for member in tree(os.getpid(), None, "")}
    assert [member.pid for member in tree(nobody, here, "")] == [sleeper.pid]
    assert eventually(lambda: [member.pid for member in tree(nobody, None, "here")] == [sleeper.pid])
    assert tree(nobody, None, "elsewhere") == []


def test_a_session_number_that_belongs_to_somebody_else_now_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    here = incarnation_of(seen(sleeper.pid))
    former = Incarnation(here.id, str(int(here.started) - 1), here.boot_id)
    assert tree(2**22 + 1, former, "") == []
