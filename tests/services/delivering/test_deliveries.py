from __future__ import annotations

import asyncio
import base64
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from pydantic import SecretStr

from tests.sinks.receiver import HANG, OK, receiving, status
from tests.storage.samples import a_notice, opened
from tests.waiting import until
from watchtower.ports import Delivery
from watchtower.services.delivering.deliveries import Deliveries, past_notices
from watchtower.sinks.delivery import DELIVERED, final, gone, retry
from watchtower.sinks.webhook import WebhookSink, WebhookSinkSettings
from watchtower.storage.journal import MemoryJournal, SqliteJournal
from watchtower.tasks import TaskGroup
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.incidents import Notice, NoticeKind

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()


class ScriptedSink:
    """Answers from a list, the last one for ever; remembers what it was given."""

    def __init__(self, *answers: Delivery, name: str = "hook") -> None:
        self.name = name
        self._answers = list(answers) or [DELIVERED]
        self.got: list[tuple[str, int]] = []

    async def send(self, notice: Notice, attempt: int) -> Delivery:
        self.got.append((notice.id, attempt))
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    async def close(self) -> None:
        """Nothing is open."""


class DefectiveSink(ScriptedSink):
    async def send(self, notice: Notice, attempt: int) -> Delivery:
        raise RuntimeError("https://user:T0P-S3CRET@alerts.example/")


async def queue(journal: SqliteJournal, *notices: Notice, sinks: tuple[str, ...] = ("hook",)) -> None:
    for notice in notices:
        await journal.commit([], None, [(notice, sinks)], HandClock().now())


def deliveries_to(journal: SqliteJournal, clock: HandClock, *sinks: ScriptedSink) -> Deliveries:
    return Deliveries(journal, sinks, clock, lambda: 0.0)


async def fates(journal: SqliteJournal) -> list[str]:
    return [f"{e.body['notice']} {e.kind}" for e in await journal.read(kind="notice.") if e.kind != "notice.queued"]


async def test_a_notice_is_sent_once_and_filed_as_delivered() -> None:
    journal, clock, sink = MemoryJournal("test"), HandClock(), ScriptedSink()
    deliveries = deliveries_to(journal, clock, sink)
    await queue(journal, a_notice())
    await deliveries.round("hook")
    await deliveries.round("hook")
    assert sink.got == [("ntc-1", 1)]
    assert await fates(journal) == ["ntc-1 notice.delivered"]
    assert deliveries.counters() == {
        "sent": 1,
        "failed": 0,
        "pending": 0,
        "dropped": 0,
        "dead": 0,
        "oldest_age_seconds": 0.0,
    }


async def test_failures_are_retried_with_growing_pauses_until_it_works() -> None:
    journal, clock = MemoryJournal("test"), HandClock()
    sink = ScriptedSink(retry("HTTP 500"), retry("HTTP 500"), retry("HTTP 500"), DELIVERED)
    deliveries = deliveries_to(journal, clock, sink)
    await queue(journal, a_notice())
    tried_at = []
    for second in range(60):
        before = len(sink.got)
        await deliveries.round("hook")
        if len(sink.got) > before:
            tried_at.append(second)
        clock.advance(1)
    assert tried_at == [0, 5, 15, 35]
    assert sink.got == [("ntc-1", 1), ("ntc-1", 2), ("ntc-1", 3), ("ntc-1", 4)]
    assert deliveries.counters()["failed"] == 3 and deliveries.counters()["pending"] == 0


async def test_events_of_one_incident_arrive_in_order_although_the_first_failed() -> None:
    journal, clock = MemoryJournal("test"), HandClock()
    sink = ScriptedSink(retry("HTTP 500"), DELIVERED)
    deliveries = deliveries_to(journal, clock, sink)
    await queue(journal, a_notice("a"), a_notice("b", NoticeKind.ACTING), a_notice("c", incident="inc-2"))
    for _ in range(12):
        await deliveries.round("hook")
        clock.advance(1)
    assert sink.got == [("a", 1), ("c", 1), ("a", 2), ("b", 1)]


async def test_five_failures_in_a_row_rest_the_whole_sink() -> None:
    journal, clock, sink = MemoryJournal("test"), HandClock(), ScriptedSink(retry("HTTP 500"))
    deliveries = deliveries_to(journal, clock, sink)
    await queue(journal, *(a_notice(f"n{n}", incident=f"inc-{n}") for n in range(20)))
    for _ in range(29):
        await deliveries.round("hook")
        clock.advance(1)
    assert len(sink.got) == 5
    clock.advance(1)
    await deliveries.round("hook")
    assert len(sink.got) == 6, "one probe after the rest"


async def test_single_failures_between_successes_rest_nothing() -> None:
    journal, clock = MemoryJournal("test"), HandClock()
    sink = ScriptedSink(*[retry("HTTP 500"), DELIVERED] * 10)
    deliveries = deliveries_to(journal, clock, sink)
    await queue(journal, *(a_notice(f"n{n}", incident=f"inc-{n}") for n in range(20)))
    await deliveries.round("hook")
    assert len(sink.got) == 20


async def test_a_throttled_sink_is_left_alone_for_as_long_as_it_asked() -> None:
    journal, clock = MemoryJournal("test"), HandClock()
    sink = ScriptedSink(retry("HTTP 429", after=60.0), DELIVERED)
    deliveries = deliveries_to(journal, clock, sink)
    await queue(journal, a_notice("a"), a_notice("b", incident="inc-2"))
    for _ in range(60):
        await deliveries.round("hook")
        clock.advance(1)
    assert sink.got == [("a", 1)]
    await deliveries.round("hook")
    assert sink.got == [("a", 1), ("a", 2), ("b", 1)]


async def test_what_can_never_be_delivered_is_filed_as_dead_and_holds_nothing_up() -> None:
    journal, clock, sink = MemoryJournal("test"), HandClock(), ScriptedSink(final("HTTP 413"), DELIVERED)
    deliveries = deliveries_to(journal, clock, sink)
    await queue(journal, a_notice("a"), a_notice("b", NoticeKind.ACTING))
    await deliveries.round("hook")
    await deliveries.round("hook")
    assert await fates(journal) == ["a notice.dead", "b notice.delivered"]


async def test_a_receiver_that_is_gone_is_not_called_again() -> None:
    journal, clock, sink = MemoryJournal("test"), HandClock(), ScriptedSink(gone("HTTP 410"))
    deliveries = deliveries_to(journal, clock, sink)
    await queue(journal, a_notice("a"), a_notice("b", incident="inc-2"), a_notice("c", incident="inc-3"))
    await deliveries.round("hook")
    assert sink.got == [("a", 1)]
    assert await fates(journal) == ["a notice.dead", "b notice.dead", "c notice.dead"]
    assert deliveries.channels["hook"].gone


async def test_after_a_day_of_failures_a_notice_is_dead() -> None:
    journal, clock, sink = MemoryJournal("test"), HandClock(), ScriptedSink(retry("HTTP 500"))
    deliveries = deliveries_to(journal, clock, sink)
    await queue(journal, a_notice())
    for _ in range(25 * 60):
        await deliveries.round("hook")
        clock.advance(60)
    assert await fates(journal) == ["ntc-1 notice.dead"]
    assert 25 < len(sink.got) < 45
    entry = (await journal.read(kind="notice.dead"))[0]
    assert entry.body["because"] == "undelivered for a day; last: HTTP 500"


async def test_after_a_reboot_a_waiting_notice_is_tried_at_once_whatever_the_clocks_say() -> None:
    journal, clock, sink = (
        MemoryJournal("test"),
        HandClock(),
        ScriptedSink(retry("HTTP 500"), retry("HTTP 500"), DELIVERED),
    )
    await queue(journal, a_notice())
    await deliveries_to(journal, clock, sink).round("hook")
    rebooted = HandClock(boot=90_000.0, wall=clock.now().wall + 3 * 86_400, boot_id="next-boot")
    await deliveries_to(journal, rebooted, sink).round("hook")
    assert [row.attempts for row in journal.pending()] == [2], "its day begins anew"
    rebooted.advance(10)
    await deliveries_to(journal, rebooted, sink).round("hook")
    assert await fates(journal) == ["ntc-1 notice.delivered"]


async def test_a_defect_in_a_sink_is_a_failed_attempt_and_its_text_goes_nowhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    journal, clock = MemoryJournal("test"), HandClock()
    deliveries = deliveries_to(journal, clock, DefectiveSink())
    await queue(journal, a_notice())
    await deliveries.round("hook")
    assert deliveries.channels["hook"].because == "defect in the sink: RuntimeError"
    output = capsys.readouterr()
    assert "T0P-S3CRET" not in output.out + output.err
    assert [row.attempts for row in journal.pending()] == [1]


async def test_notices_for_a_sink_that_was_removed_are_filed_as_dead() -> None:
    journal, clock, sink = MemoryJournal("test"), HandClock(), ScriptedSink()
    await queue(journal, a_notice(), sinks=("hook", "removed"))
    deliveries = deliveries_to(journal, clock, sink)
    await deliveries.discard_unclaimed()
    assert [row.sink for row in journal.pending()] == ["hook"]


async def test_a_hanging_receiver_delays_no_other_sink() -> None:
    journal, clock, quick = MemoryJournal("test"), HandClock(), ScriptedSink(name="log")
    async with receiving(HANG) as receiver:
        hook = webhook(receiver.url(), clock)
        deliveries = Deliveries(journal, [hook, quick], clock, lambda: 0.0)
        tasks = TaskGroup(clock.sleep)
        await queue(journal, a_notice(), sinks=("hook", "log"))
        deliveries.start(tasks)
        await until(lambda: bool(quick.got and receiver.requests))
        await tasks.stop()
        await hook.close()
    assert [row.sink for row in journal.pending()] == ["hook"]


def webhook(url: str, clock: HandClock) -> WebhookSink:
    settings = WebhookSinkSettings(kind="webhook", name="hook", url=SecretStr(url), secret=SecretStr(SECRET))
    return WebhookSink(settings, clock)


async def test_the_id_stays_the_same_over_retries_and_restarts(tmp_path: Path) -> None:
    clock = HandClock()
    async with receiving(status(500), status(503), OK) as receiver:
        for _ in range(3):
            journal = opened(tmp_path)
            if not receiver.requests:
                await queue(journal, a_notice("ntc-42"))
            hook = webhook(receiver.url("/T0P-S3CRET-PATH"), clock)
            await Deliveries(journal, [hook], clock, lambda: 0.0).round("hook")
            await hook.close()
            await journal.close()
            clock.advance(20)
    assert receiver.ids() == ["ntc-42"] * 3
    on_disk = all_bytes(tmp_path)
    assert b"ntc-42" in on_disk
    assert b"T0P-S3CRET-PATH" not in on_disk
    assert SECRET.encode() not in on_disk and b"s" * 32 not in on_disk


def all_bytes(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.iterdir())


KILLED_AFTER_SENDING = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.services.delivering.test_deliveries import queue, webhook
from tests.storage.samples import a_notice, opened
from watchtower.services.delivering.deliveries import Deliveries, past_notices
from watchtower.testing.clock import HandClock

class Dying:
    def __init__(self, journal):
        self.due = journal.due
    async def delivered(self, pending, now):
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    journal, clock = opened(Path(sys.argv[1])), HandClock()
    await queue(journal, a_notice("ntc-42"))
    await Deliveries(Dying(journal), [webhook(sys.argv[2], clock)], clock, lambda: 0.0).round("hook")

asyncio.run(main())
"""


async def test_killed_between_sending_and_filing_it_is_sent_again_with_the_same_id(tmp_path: Path) -> None:
    clock = HandClock()
    async with receiving(OK) as receiver:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED_AFTER_SENDING, str(tmp_path), receiver.url()
        )
        assert await asyncio.wait_for(child.wait(), 20) == -signal.SIGKILL
        assert receiver.ids() == ["ntc-42"]
        journal = opened(tmp_path)
        hook = webhook(receiver.url(), clock)
        await Deliveries(journal, [hook], clock, lambda: 0.0).round("hook")
        await hook.close()
        await journal.close()
    assert receiver.ids() == ["ntc-42", "ntc-42"]
    journal = opened(tmp_path)
    assert journal.pending() == []
    assert await fates(journal) == ["ntc-42 notice.delivered"]
    await journal.close()


class Forgetful(ScriptedSink):
    """Its receiver must be reminded."""

    resend_seconds = 60.0

    def __init__(self) -> None:
        super().__init__()
        self.recalled: list[str] = []
        self.reminders = 0

    def recall(self, notices: Iterable[Notice]) -> None:
        self.recalled = [notice.id for notice in notices]

    async def resend(self) -> Delivery:
        self.reminders += 1
        return DELIVERED


async def test_a_receiver_that_forgets_is_told_after_a_restart_what_was_told_before() -> None:
    journal, clock, sink = MemoryJournal("test"), HandClock(), Forgetful()
    await queue(journal, a_notice("a"), a_notice("b", NoticeKind.ACTING))
    deliveries = deliveries_to(journal, clock, sink)
    tasks = TaskGroup(clock.sleep)
    deliveries.start(tasks, await past_notices(journal))
    await until(lambda: sink.reminders > 0)
    await tasks.stop()
    assert sink.recalled == ["a", "b"]


async def test_what_a_later_release_said_does_not_hide_what_was_said_after_it() -> None:
    journal = MemoryJournal("test")
    await queue(journal, msgspec.structs.replace(a_notice("a"), kind="foretold"), a_notice("b"))
    assert [notice.id for notice in await past_notices(journal)] == ["a", "b"]
