"""The loop between outbox and sinks: takes what is due, sends it, files what became of it.

One task per sink, so that a hanging receiver delays only itself; within a sink one notice at a time, in the outbox's
order. Delivery is at least once: a crash between sending and filing sends again, with the same id. Nothing here decides
what is told or in which order (``storage.outbox``), nor when to try again (``sinks.retries``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec
import structlog

from watchtower.ports import Clock, Delivery, Journal, Outbox, RemindingSink, Sink
from watchtower.sinks import retries
from watchtower.sinks.delivery import retry
from watchtower.sinks.retries import Circuit
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.errors import StorageFault
from watchtower.vocabulary.incidents import Notice, read_notice
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.records import Pending

log = structlog.get_logger("watchtower.deliveries")

POLL_SECONDS = 0.5


@dataclass
class SinkChannel:
    """One sink and how it fares."""

    sink: Sink
    circuit: Circuit = field(default_factory=Circuit)
    sent: int = 0
    failed: int = 0
    """Attempts, not notices."""
    because: str = ""
    """Why the newest attempt failed; "" after a success."""
    gone: bool = False
    """The receiver said 410: nothing more is sent to it by this process."""


async def past_notices(journal: Journal) -> list[Notice]:
    """Every notice that the journal still knows, oldest first; those before a fault when it cannot be read."""
    found: list[Notice] = []
    since = 0
    try:
        while entries := await journal.read(since_seq=since, limit=500, kind="notice.queued"):
            since = entries[-1].seq
            found += [read_notice(entry.body["notice"]) for entry in entries]
    except (StorageFault, msgspec.ValidationError, KeyError) as problem:
        log.warning("notices not recalled", because=type(problem).__name__)
    return found


class Deliveries:
    """Serves every sink until cancelled. ``chance`` gives the jitter: uniform in [0, 1)."""

    def __init__(self, outbox: Outbox, sinks: Sequence[Sink], clock: Clock, chance: Callable[[], float]) -> None:
        self._outbox = outbox
        self._clock = clock
        self._chance = chance
        self.channels = {sink.name: SinkChannel(sink) for sink in sinks}

    def start(self, tasks: TaskGroup, past: Sequence[Notice] = ()) -> None:
        """``past``: what people heard so far, for sinks whose receivers must be reminded."""
        tasks.start("deliver to nobody", self.discard_unclaimed, restart_after=None)
        for name, channel in self.channels.items():
            tasks.start(f"deliver to {name}", partial(self.serve, name))
            if isinstance(channel.sink, RemindingSink):
                channel.sink.recall(past)
                tasks.start(f"remind {name}", partial(self.remind, channel, channel.sink))

    async def remind(self, channel: SinkChannel, sink: RemindingSink) -> None:
        """Tell one receiver again and again what still stands, for ever; at once after a start. A failure is no
        notice's failed attempt: the next reminder says the same."""
        while True:
            if not channel.gone and not channel.circuit.resting(self._clock.now().boot):
                result = await sink.resend()
                if not result.delivered:
                    log.warning("reminder failed", sink=sink.name, because=result.because)
            await self._clock.sleep(sink.resend_seconds)

    async def serve(self, sink: str) -> None:
        """Deliver to one sink for ever."""
        while True:
            await self.round(sink)
            await self._clock.sleep(POLL_SECONDS)

    async def round(self, sink: str) -> None:
        """Deliver what is due now. After a failure one probe at a time, while the sink rests nothing."""
        channel = self.channels[sink]
        for pending in self._outbox.due(self._clock.now(), sink):
            if channel.gone:
                await self._outbox.dead(pending, channel.because, self._clock.now())
            elif channel.circuit.resting(self._clock.now().boot):
                return
            else:
                await self._attempt(channel, pending)

    async def discard_unclaimed(self) -> None:
        """Notices for sinks that the configuration no longer has can never leave."""
        for pending in self._outbox.pending():
            if pending.sink not in self.channels:
                await self._outbox.dead(pending, "the sink is not configured any more", self._clock.now())

    def counters(self) -> dict[str, float]:
        """For metrics: sent, failed (attempts), pending, dropped, dead, oldest_age_seconds."""
        depth = self._outbox.depth(self._clock.now())
        return {
            "sent": sum(channel.sent for channel in self.channels.values()),
            "failed": sum(channel.failed for channel in self.channels.values()),
            "pending": depth.pending,
            "dropped": depth.settled.get("dropped", 0),
            "dead": depth.settled.get("dead", 0),
            "oldest_age_seconds": depth.oldest_age_seconds,
        }

    async def _attempt(self, channel: SinkChannel, pending: Pending) -> None:
        result = await self._send(channel.sink, pending)
        now = self._clock.now()
        if result.delivered:
            channel.sent += 1
            channel.because = ""
            channel.circuit.succeeded()
            if result.because:
                log.warning(
                    "delivered in part", sink=channel.sink.name, notice=pending.notice.id, because=result.because
                )
            await self._outbox.delivered(pending, now)
            return
        channel.failed += 1
        channel.because = result.because
        channel.gone = channel.gone or result.gone
        log.warning(
            "delivery failed",
            sink=channel.sink.name,
            notice=pending.notice.id,
            attempt=pending.attempts + 1,
            because=result.because,
        )
        if result.final:
            await self._outbox.dead(pending, result.because, now)
            return
        channel.circuit.failed(now.boot)
        if result.retry_after is not None:
            channel.circuit.rest(now.boot, result.retry_after)
        if _overdue(pending, now):
            await self._outbox.dead(pending, f"undelivered for a day; last: {result.because}", now)
            return
        delay = max(retries.backoff_seconds(pending.attempts + 1, self._chance()), result.retry_after or 0.0)
        await self._outbox.failed(pending, now.later(delay), now)

    async def _send(self, sink: Sink, pending: Pending) -> Delivery:
        try:
            return await sink.send(pending.notice, pending.attempts + 1)
        except Exception as defect:  # a sink's defect must not stop the others' alerts; its text may hold a credential
            return retry(f"defect in the sink: {type(defect).__name__}")


def _overdue(pending: Pending, now: Instant) -> bool:
    """Queued a day ago. Marks of an earlier boot mean nothing: then a day of this boot, with an attempt in it."""
    if pending.queued.boot_id == now.boot_id:
        return now.boot - pending.queued.boot >= retries.GIVE_UP_SECONDS
    tried = pending.retry_at is not None and pending.retry_at.boot_id == now.boot_id
    return tried and now.boot >= retries.GIVE_UP_SECONDS
