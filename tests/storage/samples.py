"""Small journals and notices to try things on."""

from __future__ import annotations

import shutil
from pathlib import Path

from watchtower.storage.journal import SqliteJournal
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.incidents import IncidentState, Notice, NoticeKind
from watchtower.vocabulary.records import Entry


def a_notice(id: str = "ntc-1", kind: NoticeKind = NoticeKind.OPENED, incident: str = "inc-1") -> Notice:
    return Notice(
        id=id,
        kind=kind,
        target="engine",
        incident=incident,
        wall=1_767_225_600.0,
        severity="page",
        title=f"{kind.value}: slow tokens",
        text="p95 per token 212 ms, limit 130 ms.",
        next_command=f"watchtower explain {incident}",
        state=IncidentState.OPEN,
    )


def opened(directory: Path) -> SqliteJournal:
    journal, fault = SqliteJournal.open(directory)
    assert journal is not None, fault
    return journal


async def fill(journal: SqliteJournal) -> None:
    """Five commits: entries, a state that changes, three deliveries of which one succeeded and one failed once."""
    clock = HandClock()
    await journal.commit([Entry("incident.opened", {"p95": 0.212}, "inc-1")], b"open", [], clock.now())
    await journal.commit([], None, [(a_notice(), ["hook", "log"])], clock.advance(1))
    await journal.commit(
        [Entry("action.intent", {"verb": "restart_group"}, "inc-1", "op-1")], b"acting", [], clock.now()
    )
    log, hook = journal.due(clock.now(), "log")[0], journal.due(clock.now(), "hook")[0]
    await journal.delivered(log, clock.advance(1))
    await journal.failed(hook, clock.now().later(5), clock.now())
    await journal.commit([], None, [(a_notice("ntc-2", NoticeKind.ACTING), ["hook"])], clock.advance(1))


def image(journal_directory: Path, destination: Path) -> Path:
    """The files as a power cut would leave them: copied while the writer still has them open."""
    destination.mkdir()
    for name in ("journal.db", "journal.db-wal", "journal.head"):
        if (journal_directory / name).exists():
            shutil.copy(journal_directory / name, destination / name)
    return destination
