"""What a daemon finds of the one before it, and what it does without a place to remember."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.remediation.scenes import SNAPSHOTS
from watchtower.knobs import SupervisorSettings
from watchtower.remediation.snapshots import encode
from watchtower.remediation.state import TargetState
from watchtower.services.persisting.state_directory import open_storage, supervised
from watchtower.settings import Settings
from watchtower.storage.journal import SqliteJournal
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.errors import Refused


def settings(directory: Path) -> Settings:
    return Settings(state_directory=directory, supervisor=SupervisorSettings(kind="process"))


async def test_the_last_committed_state_is_found_again(tmp_path: Path) -> None:
    knobs = settings(tmp_path / "state")
    async with AsyncExitStack() as stack:
        storage = open_storage(knobs, stack)
        assert storage.state == TargetState(target=knobs.target) and storage.fault == ""
        paused = TargetState(target=knobs.target, storage_fault="was full")
        await storage.journal.commit([], encode(paused), [], HandClock().now())
    async with AsyncExitStack() as stack:
        assert open_storage(knobs, stack).state == paused


async def test_the_state_of_an_earlier_release_is_no_fault(tmp_path: Path) -> None:
    knobs = settings(tmp_path / "state")
    old = (SNAPSHOTS / "schema-1" / "action-dispatched.json").read_bytes()
    async with AsyncExitStack() as stack:
        await open_storage(knobs, stack).journal.commit([], old, [], HandClock().now())
    async with AsyncExitStack() as stack:
        storage = open_storage(knobs, stack)
        assert storage.fault == ""
        assert storage.state.action is not None


async def test_a_second_daemon_is_refused(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        first = open_storage(settings(tmp_path / "state"), stack)
        assert first.lease_held()
        with pytest.raises(Refused):
            open_storage(settings(tmp_path / "state"), stack)


async def test_a_state_that_cannot_be_read_is_a_fault_and_not_an_end(tmp_path: Path) -> None:
    knobs = settings(tmp_path / "state")
    async with AsyncExitStack() as stack:
        await open_storage(knobs, stack).journal.commit([], b"no state", [], HandClock().now())
    async with AsyncExitStack() as stack:
        storage = open_storage(knobs, stack)
        assert storage.fault and storage.lease_held()
        assert storage.state == TargetState(target=knobs.target)


async def test_a_state_that_cannot_be_read_is_left_to_whoever_can_read_it(tmp_path: Path) -> None:
    knobs = settings(tmp_path / "state")
    newer = encode(TargetState(target=knobs.target)).replace(b'"schema":2', b'"schema":99')
    async with AsyncExitStack() as stack:
        await open_storage(knobs, stack).journal.commit([], newer, [], HandClock().now())
    for _ in range(2):  # what the first start commits must not make the second one believe that nothing ever was
        async with AsyncExitStack() as stack:
            storage = open_storage(knobs, stack)
            assert "newer Watchtower" in storage.fault and storage.journal.fault
            await storage.journal.commit([], encode(storage.state), [], HandClock().now())
    async with AsyncExitStack() as stack:
        journal, _ = SqliteJournal.open(knobs.state_directory)
        assert journal is not None
        stack.push_async_callback(journal.close)
        assert journal.latest_snapshot() == newer


async def test_without_a_directory_it_looks_on_in_one_that_it_takes_along(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("no directory")
    knobs = settings(tmp_path / "taken")
    async with AsyncExitStack() as stack:
        storage = open_storage(knobs, stack)
        assert storage.fault and not storage.lease_held()
        assert storage.directory.is_dir() and storage.directory != knobs.state_directory
        assert supervised(knobs, storage) == SupervisorSettings()
        made = storage.directory
    assert not made.exists()
