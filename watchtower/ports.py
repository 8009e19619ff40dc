"""The sockets that plug-ins and rooms are written against. Each fits on one screen.

Time and chance come in through here too: nothing outside ``clock.py`` reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from watchtower.vocabulary.actions import Answer, Capabilities, Plan, Reply
from watchtower.vocabulary.checks import Check
from watchtower.vocabulary.embeddings import Embedding
from watchtower.vocabulary.facts import AnyFact, CanaryEnded, CheckpointSeen, EngineScrape, EngineSeen
from watchtower.vocabulary.incidents import Notice
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.operations import KeeperRecord, Operation
from watchtower.vocabulary.ownership import Ensured, PersonOrder
from watchtower.vocabulary.records import Entry, OutboxDepth, Pending, StoredEntry
from watchtower.vocabulary.references import EngineAnswer, Question


class Clock(Protocol):
    """The only way to know or to pass time."""

    def now(self) -> Instant: ...

    async def sleep(self, seconds: float) -> None: ...


class Supervisor(Protocol):
    """Owns the engine's process tree (or container, or pod): the half of an adapter that can restart things.

    Methods may block up to the adapter child's deadline; they run in that child, never in the daemon.
    """

    def capabilities(self) -> Capabilities: ...

    def observe(self, at: float) -> EngineSeen:
        """Identity of what runs now. ``known=False`` when it cannot be told; never raises for a sick engine."""
        ...

    def execute(self, plan: Plan) -> Reply:
        """Begin ``plan``. Refuses before any effect when the incarnation differs, the fence is higher, or
        ``not_after`` passed. The same op_id twice is one effect where ``idempotent_durable`` is claimed."""
        ...

    def status(self, op_id: str) -> Answer: ...

    def fence(self, token: int) -> bool:
        """From now on refuse every token lower than this, durably. False: could not be confirmed."""
        ...


@runtime_checkable
class Examinable(Protocol):
    """A supervisor that ``watchtower doctor`` may ask about itself."""

    def examine(self) -> Check:
        """Within a few seconds; changes nothing and never raises."""
        ...


class Owner(Protocol):
    """What the *daemon* does for an engine that Watchtower itself owns. The other half of a supervisor runs in the
    adapter child, which may be killed at any time, and with it whatever was started there."""

    async def ensure(self, now: Instant) -> Ensured:
        """The owner is there; the first time, the engine is started too, unless it ended by itself. Asked again and
        again. Raises NotReachable when the owner cannot be started."""
        ...

    async def close(self, end_engine: bool) -> None:
        """The daemon leaves. With ``end_engine`` owner and engine end, too; never raises for one that is gone."""
        ...

    async def order(self, order: PersonOrder) -> Reply:
        """What a person wants done at once: start or stop the engine. Never raises."""
        ...


class Engine(Protocol):
    """The HTTP half of an adapter: what one serving engine says about itself, in our words."""

    def serving(self) -> tuple[bool, str]:
        """(accepts requests, version). A hint, never proof of health."""
        ...

    def scrape(self, at: float) -> EngineScrape: ...

    def canary(self, id: str, started_at: float, deadline_seconds: float) -> CanaryEnded:
        """One fresh one-token generation, sent to the engine itself."""
        ...

    def ask(self, question: Question) -> EngineAnswer:
        """A question of ours to the engine itself, greedily and with its salt; or the log-probabilities of tokens we
        choose. Never raises for a sick engine: then ``because`` says what came instead."""
        ...


class Weights(Protocol):
    """What some engines offer beside: weights read back, and replaced in place. All calls come from one thread."""

    def checkpoint(self, at: float) -> CheckpointSeen:
        """Which weights are declared, and the checksum of those in memory. Costs the engine a pass over all its
        weights, during which it may serve nobody: not to be asked often. Never raises."""
        ...

    def cannot_load(self, path: str) -> str:
        """Why the checkpoint at ``path`` should not be loaded into the running engine; "" when nothing speaks
        against it. Touches nothing."""
        ...

    def load(self, path: str, digest: str, seconds: float) -> Reply:
        """Load the weights at ``path`` into the running engine, whose new requests are held already, and read them
        back. ACKED only if they then read ``digest``; REJECTED only before any effect; FAILED when it is known that
        something else is in memory now. Whatever the reply, nothing stays paused."""
        ...

    def resume(self) -> None:
        """Lift the pause that a ``load`` left behind when its process was killed. Never raises."""
        ...


@runtime_checkable
class ServesWeights(Engine, Protocol):
    """An engine whose weights can be reached; any other has none that we could roll back."""

    @property
    def weights(self) -> Weights: ...


class Sink(Protocol):
    """One destination for notices. Stateless: retries, order and circuit live in the outbox. Made by the catalogue
    with its settings, a clock and the console's address; raises BadInput for settings that cannot be used."""

    name: str

    async def send(self, notice: Notice, attempt: int) -> Delivery:
        """One attempt, bounded in time. Never raises for what the receiver does; no answer quotes a secret."""
        ...

    async def close(self) -> None: ...


@runtime_checkable
class RemindingSink(Sink, Protocol):
    """A sink whose receiver forgets: what still stands must be told again and again."""

    resend_seconds: float

    def recall(self, notices: Iterable[Notice]) -> None:
        """After a restart: what was told so far, oldest first."""
        ...

    async def resend(self) -> Delivery: ...


class Delivery(Protocol):
    """What became of one attempt (``watchtower.sinks.delivery`` has the values)."""

    @property
    def delivered(self) -> bool: ...

    @property
    def final(self) -> bool:
        """No retry of this notice can help."""
        ...

    @property
    def gone(self) -> bool:
        """The receiver asks never to be called again (410): the whole sink stops."""
        ...

    @property
    def retry_after(self) -> float | None:
        """Seconds the whole sink should be left alone; None: our own backoff decides."""
        ...

    @property
    def because(self) -> str:
        """A kind, never a URL, a body or a secret."""
        ...


class Journal(Protocol):
    """Durable memory: an append-only chain of entries, the latest state, and the outbox, in one transaction."""

    @property
    def fault(self) -> str:
        """Why nothing durable can be written (observe only); "" while all is well. Latched until reopened."""
        ...

    async def commit(
        self,
        records: Sequence[Entry],
        snapshot: bytes | None,
        notices: Sequence[tuple[Notice, Sequence[str]]],
        now: Instant,
    ) -> int:
        """All or nothing, durable on return; the sequence of the last entry. Each notice goes to the sinks named
        beside it. Raises StorageFault: then nothing may be done or published on the strength of these records."""
        ...

    async def go_on_in_memory(self) -> None:
        """After a StorageFault: remember in memory alone from now on, so that people can still be told. What was
        pending stays pending. ``fault`` stays set: nothing is durable any more."""
        ...

    def latest_snapshot(self) -> bytes | None: ...

    async def read(self, since_seq: int = 0, limit: int = 100, kind: str = "", incident: str = "") -> list[StoredEntry]:
        """Entries after ``since_seq``, oldest first; ``kind`` is a prefix. Raises StorageFault."""
        ...


class OperationLedger(Protocol):
    """What whoever carries operations out remembers of them (``watchtower.storage.opledger``): durable on return."""

    @property
    def operations(self) -> dict[str, Operation]: ...

    @property
    def fence(self) -> int: ...

    def append(self, record: KeeperRecord) -> None:
        """Raises StorageFault: then nothing may be done on the strength of it."""
        ...


class Outbox(Protocol):
    """The journal's other face: what has to be sent. Settling never raises; a disk fault shows in ``Journal.fault``."""

    def due(self, now: Instant, sink: str) -> list[Pending]:
        """What may be sent now, most urgent first: per incident only the oldest, so that events stay in order."""
        ...

    def pending(self) -> list[Pending]: ...

    def depth(self, now: Instant, sink: str = "") -> OutboxDepth: ...

    async def delivered(self, pending: Pending, now: Instant) -> None: ...

    async def failed(self, pending: Pending, retry_at: Instant, now: Instant) -> None: ...

    async def dead(self, pending: Pending, because: str, now: Instant) -> None: ...


class Recorder(Protocol):
    """Keeps what was seen and decided, for explanations and replay (``watchtower.storage.recording``). Best effort."""

    def append(self, at: float, item: AnyFact | Entry) -> None:
        """Keep a fact, or an entry that the journal took, as of ``at`` (CLOCK_BOOTTIME seconds). Never blocks and
        never raises: what cannot be kept is counted. Never a text of users: samples are no facts."""
        ...


class Hands(Protocol):
    """The runner's way to the adapter: every call has a hard deadline, and no call raises."""

    async def execute(self, plan: Plan) -> Reply: ...

    async def status(self, op_id: str) -> Answer: ...

    async def fence(self, token: int) -> bool: ...

    async def checkpoint(self) -> CheckpointSeen: ...


class Encoder(Protocol):
    """Turns texts into vectors, in the background and at a bounded cost. Never raises for a sick or missing encoder."""

    async def embed(self, texts: Sequence[str], *, live: bool = False) -> Embedding:
        """One unit vector for each text; ``vectors`` None is UNKNOWN and ``because`` says why. ``live``: a sample of
        users' traffic, which waits behind canaries and falls off first."""
        ...


class Traffic(Protocol):
    """The runner's way to the relay workers."""

    async def hold(self, op_id: str, *, drain: bool) -> int:
        """Park new requests in every worker; with ``drain`` wait for open exchanges up to the drain deadline.
        Returns how many exchanges are still open."""
        ...

    async def release(self, op_id: str) -> None: ...
