"""Every supervisor of the catalogue that acts is held to the contract, over a real process tree."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.engines import ProcessTree, process_tree
from watchtower.adapters.keeper.process_tree import look
from watchtower.adapters.supervisor.none import NoSupervisor, NoSupervisorSettings
from watchtower.catalogue import CATALOGUE
from watchtower.testing.adapters import SupervisorContract, eventually, incarnation, plan
from watchtower.vocabulary.actions import Answer, Capabilities, ReplyKind


class TestProcess(SupervisorContract):
    @pytest.fixture
    def live(self, tmp_path: Path) -> Iterator[ProcessTree]:
        with process_tree(tmp_path) as tree:
            yield tree


def test_stopped_processes_of_the_tree_are_ended_politely(tmp_path: Path) -> None:
    """SIGTERM alone would wait for ever: a stopped process hears it only when continued."""
    with process_tree(tmp_path, "stopped", term_seconds=30) as live:
        members = live.members()
        assert len(members) == 4
        assert eventually(lambda: _state(live, members) >= {"T"})
        assert live.supervisor.execute(plan("op", incarnation(live))).kind is ReplyKind.ACKED
        assert [pid for pid in members if live.running(pid)] == []


def test_a_tree_stopped_as_a_whole_is_ended(tmp_path: Path) -> None:
    with process_tree(tmp_path) as live:
        members = live.members()
        for pid in members:
            os.kill(pid, signal.SIGSTOP)
        assert live.supervisor.execute(plan("op", incarnation(live))).kind is ReplyKind.ACKED
        assert [pid for pid in members if live.running(pid)] == []


def test_an_engine_that_ignores_sigterm_is_killed_after_its_time(tmp_path: Path) -> None:
    with process_tree(tmp_path, "stubborn", term_seconds=0.3) as live:
        members = live.members()
        assert live.supervisor.execute(plan("op", incarnation(live))).kind is ReplyKind.ACKED
        assert [pid for pid in members if live.running(pid)] == []


def test_an_engine_that_died_by_itself_stays_down_until_it_is_restarted_under_its_own_name(tmp_path: Path) -> None:
    with process_tree(tmp_path) as live:
        before = incarnation(live)
        os.kill(int(before.id), signal.SIGKILL)
        assert eventually(lambda: live.supervisor.observe(0.0).incarnation is None)
        assert eventually(lambda: live.supervisor.observe(0.0).because == "signal SIGKILL")
        assert live.supervisor.observe(0.0).ended == before, "who is dead is known by name"
        assert not live.supervisor.start().yes
        assert live.starts() == 1
        assert live.supervisor.execute(plan("op", before)).kind is ReplyKind.ACKED
        assert eventually(lambda: live.starts() == 2)
        assert live.supervisor.observe(0.0).ended is None


def test_none_offers_nothing_and_knows_nothing(tmp_path: Path) -> None:
    nobody = NoSupervisor(NoSupervisorSettings(), tmp_path)
    assert nobody.capabilities() == Capabilities()
    assert not nobody.observe(0.0).known
    assert nobody.status("op") is Answer.NOT_DONE


def test_every_supervisor_of_the_catalogue_is_judged_here() -> None:
    assert set(CATALOGUE["supervisors"]) == {"process", "none"}


def _state(live: ProcessTree, members: set[int]) -> set[str]:
    return {process.state for pid in members if (process := look(pid)) is not None}
