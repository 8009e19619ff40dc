"""Whoever owns the engine is held to one contract, the one who owns nothing included."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.contracts.engines import ProcessTree
from watchtower.adapters.supervisor.none import NoSupervisorSettings
from watchtower.adapters.supervisor.owning import NullOwner, owner_of
from watchtower.adapters.supervisor.process import KeeperOwner
from watchtower.catalogue import CATALOGUE, load
from watchtower.ports import Owner
from watchtower.testing.adapters import eventually
from watchtower.testing.owner_contract import OwnerContract
from watchtower.vocabulary.errors import NotReachable


class TestKeeper(OwnerContract):
    @pytest.fixture
    def owner(self, tmp_path: Path) -> Iterator[Owner]:
        tree = ProcessTree(tmp_path, (), 5.0)
        yield owner_of(tree.settings, tree.state)
        with suppress(NotReachable):
            tree.ensure_keeper()
        with suppress(NotReachable):
            keeper = tree.keeper_pid()
            assert tree.supervisor.stop().yes
            assert eventually(lambda: not tree.running(keeper))


class TestNobody(OwnerContract):
    @pytest.fixture
    def owner(self, tmp_path: Path) -> Owner:
        return owner_of(NoSupervisorSettings(), tmp_path)


def test_every_supervisor_that_owns_is_judged_here() -> None:
    owners = {kind: getattr(load("supervisors", kind), "Owner", NullOwner) for kind in CATALOGUE["supervisors"]}
    assert owners == {"none": NullOwner, "process": KeeperOwner}
