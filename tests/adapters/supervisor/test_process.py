"""The daemon's half of an engine of ours: a keeper that is there, is gone, or has another plan."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.contracts.engines import ProcessTree, process_tree
from watchtower.adapters.supervisor.owning import owner_of
from watchtower.adapters.supervisor.process import KeeperOwner, ProcessSupervisor, ProcessSupervisorSettings
from watchtower.clock import SystemClock
from watchtower.testing.adapters import eventually
from watchtower.vocabulary.actions import ReplyKind
from watchtower.vocabulary.checks import Health
from watchtower.vocabulary.errors import NotReachable
from watchtower.vocabulary.ownership import PersonOrder, PersonVerb

STOP = PersonOrder(verb=PersonVerb.STOP, author="ann", reason="maintenance")
NOW = SystemClock().now


def owner(tree: ProcessTree) -> KeeperOwner:
    return KeeperOwner(tree.settings, tree.state)


async def test_a_keeper_that_runs_is_found_and_one_that_died_is_replaced_beside_the_same_engine(tmp_path: Path) -> None:
    with process_tree(tmp_path) as tree:
        daemon = owner(tree)
        first = await daemon.ensure(NOW())
        assert (first.found, first.because) == (True, "")
        os.kill(tree.keeper_pid(), signal.SIGKILL)
        assert eventually(lambda: not tree.supervisor.observe(0.0).known)
        again = await daemon.ensure(NOW())
        assert not again.found
        assert again.incarnation == first.incarnation
        assert tree.starts() == 1


async def test_an_engine_that_ended_by_itself_stays_down_and_it_is_said(tmp_path: Path) -> None:
    with process_tree(tmp_path) as tree:
        seen = (await owner(tree).ensure(NOW())).incarnation
        assert seen is not None
        os.kill(int(seen.id), signal.SIGKILL)
        assert eventually(lambda: tree.supervisor.observe(0.0).incarnation is None)
        ensured = await owner(tree).ensure(NOW())
        assert ensured.incarnation is None
        assert ensured.because
        assert tree.starts() == 1


async def test_a_keeper_with_another_plan_goes_on_and_it_is_said(tmp_path: Path) -> None:
    with process_tree(tmp_path) as tree:
        changed = tree.settings.model_copy(update={"environment": {"A": "b"}})
        ensured = await KeeperOwner(changed, tree.state).ensure(NOW())
        assert "keeps the command line" in ensured.because
        assert ProcessSupervisor(changed, tree.state).examine().health is Health.PROBLEM
        assert tree.supervisor.examine().health is Health.OK


async def test_a_keeper_that_cannot_be_started_is_not_reachable(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(NotReachable, match="the keeper did not start"):
        await KeeperOwner(ProcessSupervisorSettings(command=("true",)), tmp_path / "state").ensure(NOW())


async def test_without_a_keeper_orders_are_refused_and_closing_harms_nobody(tmp_path: Path) -> None:
    nobody = owner_of(ProcessSupervisorSettings(command=("true",)), tmp_path)
    assert isinstance(nobody, KeeperOwner)
    reply = await nobody.order(STOP)
    assert reply.kind is ReplyKind.REJECTED
    assert reply.because.startswith("nothing was sent")
    await nobody.close(end_engine=True)


def test_a_program_that_is_not_there_and_a_keeper_that_is_not_started(tmp_path: Path) -> None:
    missing = ProcessSupervisor(ProcessSupervisorSettings(command=("no-such-program-here",)), tmp_path).examine()
    assert (missing.health, "supervisor.command" in missing.cure) == (Health.PROBLEM, True)
    waiting = ProcessSupervisor(ProcessSupervisorSettings(command=("sh",)), tmp_path).examine()
    assert (waiting.health, "not started yet" in waiting.what) == (Health.OK, True)
