"""The runner's durable step over the journal: records, snapshot and outbox rows in one transaction.

When the disk fails, the step that failed is lost (the runner is told), and the journal goes on in memory, so that
people can still be told that nothing is written down any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from watchtower.ports import Journal
from watchtower.remediation.interface import Event, Record, StorageFailed
from watchtower.remediation.state import TargetState
from watchtower.vocabulary.errors import StorageFault
from watchtower.vocabulary.incidents import Notice
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.records import Entry


class JournaledSteps:
    """``watchtower.services.curing.runner.Memory``."""

    def __init__(
        self,
        journal: Journal,
        audience: Callable[[Notice], Sequence[str]],
        on_entries: Callable[[Sequence[Entry], Instant], None] = lambda entries, now: None,
    ) -> None:
        """``audience``: names of the sinks that a notice goes to. ``on_entries`` hears of every committed entry, on
        disk or in memory."""
        self._journal = journal
        self._on_entries = on_entries
        self._audience = audience

    async def commit(self, records: Sequence[Record], snapshot: bytes, notices: Sequence[Notice], now: Instant) -> None:
        entries = [
            Entry(
                kind=record.kind,
                incident=str(record.body.get("incident", "")),
                op_id=str(record.body.get("op_id", "")),
                body=record.body,
            )
            for record in records
        ]
        try:
            await self._journal.commit(entries, snapshot, [(notice, self._audience(notice)) for notice in notices], now)
        except StorageFault:
            await self._journal.go_on_in_memory()
            raise
        self._on_entries(entries, now)


def report_fault(journal: Journal, state: TargetState, submit: Callable[[Event], None]) -> None:
    """Tell the machine, once, of a fault that the journal met outside its steps: it must observe from then on."""
    if journal.fault and not state.storage_fault:
        submit(StorageFailed(journal.fault))
