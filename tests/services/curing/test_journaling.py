"""The runner's durable step over a real journal, and what is left of it when the disk fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.storage.samples import a_notice, opened
from watchtower.remediation.interface import Event, Record, Started, StorageFailed
from watchtower.remediation.state import TargetState
from watchtower.services.curing.journaling import JournaledSteps, report_fault
from watchtower.services.curing.runner import Runner
from watchtower.settings import RemediationSettings
from watchtower.storage.journal import SqliteJournal, verify
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.actions import Answer, Capabilities, Plan, Reply
from watchtower.vocabulary.errors import StorageFault
from watchtower.vocabulary.facts import CheckpointSeen
from watchtower.vocabulary.incidents import NoticeKind
from watchtower.vocabulary.records import Verified


@pytest_asyncio.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    journal = opened(tmp_path / "state")
    yield journal
    await journal.close()


async def test_records_state_and_notices_are_one_step(tmp_path: Path, journal: SqliteJournal) -> None:
    clock = HandClock()
    memory = JournaledSteps(journal, lambda notice: ["log", "hook"])
    records = [Record("action.intent", {"incident": "inc-1", "op_id": "op-1", "verb": "restart_group"})]
    await memory.commit(records, b"state", [a_notice()], clock.now())
    entries = await journal.read(kind="action.")
    assert [(entry.kind, entry.incident, entry.op_id, entry.body["verb"]) for entry in entries] == [
        ("action.intent", "inc-1", "op-1", "restart_group")
    ]
    assert journal.latest_snapshot() == b"state"
    assert {pending.sink for pending in journal.pending()} == {"log", "hook"}
    assert isinstance(verify(tmp_path / "state"), Verified)


async def test_a_failed_step_is_raised_and_the_next_one_is_kept_in_memory(tmp_path: Path) -> None:
    clock, journal = HandClock(), opened(tmp_path / "state")
    memory = JournaledSteps(journal, lambda notice: ["hook"])
    await memory.commit([Record("a.first", {})], b"1", [a_notice("ntc-1")], clock.now())
    await asyncio.to_thread(journal._ledger.close)  # the file is gone from under the writer
    with pytest.raises(StorageFault):
        await memory.commit([Record("a.lost", {})], b"2", [a_notice("ntc-lost")], clock.now())
    await memory.commit([Record("a.kept", {})], b"3", [a_notice("ntc-2")], clock.now())
    assert journal.fault != ""
    assert [entry.kind for entry in await journal.read(kind="a.")] == ["a.kept"]
    assert [pending.notice.id for pending in journal.pending()] == ["ntc-1", "ntc-2"], "people are told all the same"
    await journal.close()
    assert isinstance(verify(tmp_path / "state"), Verified), "what was on disk is as it was"
    reopened = opened(tmp_path / "state")
    assert reopened.latest_snapshot() == b"1"
    await reopened.close()


class Hands:
    async def execute(self, plan: Plan) -> Reply:
        raise AssertionError("nothing may be done on the strength of what was not written")

    async def status(self, op_id: str) -> Answer:
        return Answer.CANNOT_TELL

    async def fence(self, token: int) -> bool:
        return False

    async def checkpoint(self) -> CheckpointSeen:
        raise AssertionError


class Traffic:
    async def hold(self, op_id: str, *, drain: bool) -> int:
        raise AssertionError

    async def release(self, op_id: str) -> None:
        raise AssertionError


async def test_the_machine_hears_of_a_failed_disk_once_and_people_are_told(tmp_path: Path) -> None:
    journal = opened(tmp_path / "state")
    runner = Runner(
        TargetState(target="engine"),
        limits=RemediationSettings(),
        capabilities=Capabilities(),
        clock=HandClock(),
        memory=JournaledSteps(journal, lambda notice: ["hook"]),
        traffic=Traffic(),
        hands=Hands(),
        send_canary=lambda why: None,
        spawn=lambda name, make: None,
    )
    await runner.step(Started())
    await asyncio.to_thread(journal._ledger.close)
    await runner.step(Started())  # any event that has to be written down
    heard: list[Event] = []
    while not runner.events_waiting.empty():
        heard.append(runner.events_waiting.get_nowait())
        await runner.step(heard[-1])
    assert [type(event) for event in heard] == [StorageFailed]
    assert runner.state.storage_fault
    assert [pending.notice.kind for pending in journal.pending()] == [NoticeKind.STORAGE_FAULT]
    await journal.close()


async def test_a_fault_outside_a_step_reaches_the_machine_until_it_is_latched(tmp_path: Path) -> None:
    journal, heard = opened(tmp_path / "state"), list[Event]()
    report_fault(journal, TargetState(target="engine"), heard.append)
    assert heard == []
    await asyncio.to_thread(journal._ledger.close)
    with pytest.raises(StorageFault):
        await journal.commit([], b"1", [], HandClock().now())
    report_fault(journal, TargetState(target="engine"), heard.append)
    assert heard == [StorageFailed(journal.fault)]
    report_fault(journal, TargetState(target="engine", storage_fault=journal.fault), heard.append)
    assert len(heard) == 1
    await journal.close()
