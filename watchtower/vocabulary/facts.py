"""Facts: typed, time-stamped events. The live daemon and replay are readers of the same stream.

``at`` is always CLOCK_BOOTTIME seconds of this machine. Facts are msgspec structs: msgpack on the relay's socket,
JSON in recordings. A fact says what was seen, never what it means.

A relay worker outlives its daemon and may be older or newer than the next one. So these messages only grow: fields are
added with a default (in arrays at the end), and a value of an enumeration that the reader does not know reads as
unobserved or unknown. What a reader cannot know at all, it skips (``watchtower.taps.framing``).
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from watchtower.vocabulary.actions import Incarnation
from watchtower.vocabulary.contacts import Contact, ContactKind
from watchtower.vocabulary.gpus import GpuSeen, GpuSource, Trouble, Xid
from watchtower.vocabulary.reasons import ReasonKind
from watchtower.vocabulary.samples import ExchangeSampled, SampleOrder
from watchtower.vocabulary.unread import RouteUnread


class Fact(msgspec.Struct, frozen=True, tag_field="fact", omit_defaults=True, kw_only=True):
    """Base of every fact."""

    at: float


# ── from the relay ──────────────────────────────────────────────────────────────────────────────


class Ending(StrEnum):
    """How an exchange ended, as seen on the wire."""

    COMPLETE = "complete"
    """The answer was whole: a finish reason for every choice seen, the stream's last event, or a body with an answer
    in it. The only good ending: continuity and the end of a warm-up are counted by it."""
    EMPTY = "empty"
    """Whole, and without a token and without a tool call."""
    FAILED = "failed"
    """The engine gave the answer up: finish reason ``abort`` or ``error``."""
    ERROR = "error"
    """HTTP 5xx, an error inside a 200 that is not the caller's, or our own 502 for an engine that does not answer."""
    REFUSED = "refused"
    """The caller's mistake: HTTP 4xx, or an error inside a 200 with a code of 400 to 499."""
    SHED = "shed"
    """Turned away by the engine for want of room: HTTP 429, or 503 with Retry-After."""
    TRUNCATED = "truncated"
    """Cut before any of these, or a body that is no answer at all."""
    CLIENT_LEFT = "client_left"
    OURS = "ours"
    """Refused by us (guard, hold, limits): never counted against the engine."""
    UNOBSERVED = "unobserved"
    """Forwarded on, but in a form we do not read (compressed, not HTTP, another dialect): it says nothing about the
    engine. Closed as soon as that is known, so that it is never read as hung."""

    @classmethod
    def _missing_(cls, value: object) -> Ending | None:
        """Older workers say ``error_event`` and ``http_error`` (``Closed.as_said_today`` tells the latter apart). An
        ending that a newer worker knows says nothing that we could judge by."""
        if value in ("error_event", "http_error"):
            return cls.ERROR
        return cls.UNOBSERVED if isinstance(value, str) else None


class Opened(msgspec.Struct, frozen=True, array_like=True):
    """A generation request was forwarded (the instant its head went upstream)."""

    at: float
    path: str
    """Without query, e.g. ``/v1/chat/completions``."""
    model: str = ""
    """As the response (or, until then, the request) names it; "" while unknown."""
    stream: bool = False
    tag: str = ""
    """The caller's class of traffic, from the configured header; "" without one."""
    request_bytes: int = 0
    traceparent: str = ""
    """The client's header as received (``watchtower.vocabulary.traces``); "" without one."""
    whole_at: float = 0.0
    """Instant at which the request's last byte went upstream; 0 until then. Until it, the client is what is waited
    for: a time to first token begins here, and ``whole_at - at`` is the upload."""

    @property
    def asked_at(self) -> float:
        """From when on the engine is waited for."""
        return max(self.at, self.whole_at)


class Closed(msgspec.Struct, frozen=True, array_like=True):
    at: float
    ending: Ending
    status: int = 0
    """HTTP status; 0 when no response head was seen; 502 is ours where the engine could not be reached."""
    completion_tokens: int = -1
    """Total the engine claimed (usage); −1 when it told none."""
    prompt_tokens: int = -1
    finish_reason: str = ""
    deltas: int = 0
    """Where counts are estimated: how many pieces of text were each counted as one token. With ``completion_tokens``
    it tells how many tokens a piece holds. 0: counts are exact, or some pieces were held back by the engine."""
    unknown_finish: bool = False
    """``finish_reason`` is in no engine's list that we know (``vocabulary.words.FINISH_REASONS``)."""

    def as_said_today(self) -> Closed:
        """An older worker had one ending for all HTTP errors; a worker of today never calls a 4xx an error."""
        if self.ending is Ending.ERROR and 400 <= self.status < 500:
            return msgspec.structs.replace(self, ending=Ending.SHED if self.status == 429 else Ending.REFUSED)
        return self


class ExchangeNews(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened to one exchange since the last frame. Tokens of one read share its gap: a read that carried k
    tokens after a gap of g ns appears as ``gaps_ns=[g], tokens=[k]``; the observation per token is g/k."""

    id: str
    """``worker.pid-connection-number``, unique on this boot."""
    opened: Opened | None = None
    """On first mention, and again after a reconnect or when more became known (model, stream)."""
    first_token_at: float | None = None
    """Instant of the read that carried the first token."""
    first_tokens: int = 0
    """Tokens in that first read (they have a time to first token, no gap)."""
    last_token_at: float | None = None
    gaps_ns: list[int] = []
    tokens: list[int] = []
    """As many as gaps. Of several choices in one read, those of the choice that waited longest for a token."""
    estimated: bool = False
    """True where a chunk was counted as one token because the engine gave no exact count."""
    more_tokens: int = 0
    """Tokens that came besides, and whose gap says nothing: of the other choices in a read, or of a read that the
    client held up."""
    slowest_choice_at: float | None = None
    """Of several choices: the last token of the unfinished one that has waited longest. None: there is one choice."""
    client_full: bool = False
    """The client does not read, so we do not read from the engine: a silence now is the client's."""
    client_held_ns: int = 0
    """Gaps that held such a time: they are the client's, and are not among ``gaps_ns``."""
    closed: Closed | None = None


class HoldState(StrEnum):
    OPEN = "open"
    """Traffic flows."""
    HOLDING = "holding"
    """New generation requests park at their head."""
    UNKNOWN = "unknown"
    """A state that only a newer worker knows."""

    @classmethod
    def _missing_(cls, value: object) -> HoldState | None:
        return cls.UNKNOWN if isinstance(value, str) else None


class Bypassed(msgspec.Struct, frozen=True):
    """Who had the relay bypassed, why, and since when."""

    author: str
    reason: str
    since_wall: float
    """Unix time in seconds."""
    by_itself: bool = False
    """Nobody ordered it: the worker was started so."""


class RelayFrame(Fact, frozen=True, tag="relay_frame", kw_only=True):
    """One batch from one relay worker: about 5 a second while there is traffic, at least one a second always."""

    worker: int
    pid: int
    sequence: int
    """Counts up by one per frame of this process; a gap means dropped frames."""
    open_exchanges: int
    """Requests that cost the engine work, forwarded and not yet answered, observed or not: what a drain waits for."""
    open_unobserved: int = 0
    """Of these, those whose answers are not read: no news is told of them."""
    parked: int = 0
    hold: HoldState = HoldState.OPEN
    hold_op: str = ""
    """The op_id of the hold order this worker is obeying (its acknowledgement)."""
    loop_lag_seconds: float = 0.0
    """Longest delay of this worker's event loop since the last frame."""
    dropped_news: int = 0
    """Cumulative: news that fell off the bounded queue while the daemon was away."""
    counters: dict[str, int] = {}
    """Cumulative counts by name (``watchtower.vocabulary.words.RELAY_COUNTERS``)."""
    news: list[ExchangeNews] = []
    answering: int = -1
    """Connections with an answer under way, read or not; −1: an older worker, which does not say."""
    unread: int = 0
    """Of these, those that ask for something and whose answer nobody reads, known routes or not."""
    routes: list[RouteUnread] = []
    """Those that changed since the last frame, all of them in the first after a hello."""
    contacts: list[Contact] = []
    """The newest of each kind."""
    bypassed: Bypassed | None = None
    """This worker only forwards: it was told to by a person."""

    @property
    def under_way(self) -> int:
        """Answers that a restart of the engine would cut."""
        return max(self.answering, self.open_exchanges)


class RelayHello(Fact, frozen=True, tag="relay_hello", kw_only=True):
    """First message of a worker on each connection to the daemon."""

    worker: int
    pid: int
    version: str
    listening: str
    """``host:port`` it accepts clients on."""
    upstream: str
    samples: bool = False
    """It obeys a ``SampleOrder``: how workers said so before ``understands``, and still do for an older daemon."""
    understands: tuple[str, ...] = ()
    """Tags of the orders that it obeys; empty: it is of a version before this was said."""

    def obeys(self, order: str) -> bool:
        """A worker of an earlier version hangs up at an order that it does not know, so ask before sending."""
        if self.understands:
            return order in self.understands
        return order in ("hold", "release") or (order == "sample" and self.samples)


class OrderNotUnderstood(Fact, frozen=True, tag="order_not_understood", kw_only=True):
    """The worker was sent an order that it does not know. It goes on as if there had been none."""

    worker: int
    pid: int
    order: str
    """Its tag."""


class RelayGone(Fact, frozen=True, tag="relay_gone", kw_only=True):
    """The worker's connection to the daemon ended (written by the daemon, not the worker)."""

    worker: int
    pid: int


class RelayEnded(Fact, frozen=True, tag="relay_ended", kw_only=True):
    """A worker stood still for so long that the daemon ended it (written by the daemon). What it had open is cut."""

    worker: int
    pid: int


# ── orders to the relay (same socket, other direction) ──────────────────────────────────────────


class HoldOrder(msgspec.Struct, frozen=True, tag="hold", tag_field="order", kw_only=True):
    op_id: str
    seconds: float
    """Total life of the hold; the worker releases by itself when it is over, with or without a daemon."""
    wait_seconds: float
    """Longest one request may wait; then it gets 503 with Retry-After."""
    max_parked: int
    max_bytes: int


class ReleaseOrder(msgspec.Struct, frozen=True, tag="release", tag_field="order", kw_only=True):
    op_id: str


class ServingOrder(msgspec.Struct, frozen=True, tag="serving", tag_field="order", kw_only=True):
    """How the engine is, for whoever asks the relay's own port. Renewed by the daemon; not renewed, it lapses."""

    known: bool
    serving: bool
    """False: proven dead, or hung and confirmed. Means nothing where it is not ``known``."""
    reason: str
    until: float
    """CLOCK_BOOTTIME seconds."""


RelayOrder = HoldOrder | ReleaseOrder
WorkerOrder = RelayOrder | SampleOrder | ServingOrder
ORDERS: tuple[str, ...] = ("hold", "release", "sample", "serving")
"""The tags of ``WorkerOrder``: what a worker of this version says that it understands."""
RelayMessage = RelayHello | RelayFrame | OrderNotUnderstood | ExchangeSampled

# ── from everything else ────────────────────────────────────────────────────────────────────────


class EngineScrape(Fact, frozen=True, tag="engine_scrape", kw_only=True):
    """One scrape of the engine's own metrics, already translated to our names."""

    ok: bool
    because: str = ""
    """Why it failed (a kind, never a body)."""
    running: float | None = None
    waiting: float | None = None
    kv_cache_ratio: float | None = None
    generation_tokens: float | None = None
    """Cumulative; resets with the engine."""
    contact: ContactKind | None = None
    """None: we ourselves could not ask."""


class CanaryOutcome(StrEnum):
    SERVED = "served"
    """A well-formed completion with at least one token."""
    HUNG = "hung"
    """Accepted, and nothing until the deadline."""
    REFUSED = "refused"
    """Connection refused, or an HTTP error."""
    BROKEN = "broken"
    """An answer that is no completion."""
    UNKNOWN = "unknown"
    """We ourselves could not ask: says nothing about the engine."""


class CanaryStarted(Fact, frozen=True, tag="canary_started", kw_only=True):
    id: str
    why: str = ""


class CanaryEnded(Fact, frozen=True, tag="canary_ended", kw_only=True):
    id: str
    started_at: float
    outcome: CanaryOutcome
    seconds: float
    because: str = ""
    contact: ContactKind | None = None
    """None: we ourselves could not ask."""


class ReferenceAnswered(Fact, frozen=True, tag="reference_answered", kw_only=True):
    """One reference prompt was asked again and its answer compared with the blessed ones. Numbers only: the text stays
    in the memory of the part that asked."""

    round: int
    reference: str
    """Id of the reference."""
    rank: int = -1
    """The data-parallel rank that was asked; −1: the engine chose."""
    because: str = ""
    """Why there is nothing to compare (engine saturated, refused, …); then every score below is None."""
    logprob_shift: float | None = None
    """Mean absolute change, in nats per token, of the log-probabilities of a blessed answer."""
    logprob_allowed: float | None = None
    """How far the engine moves on its own, by its noise when the references were captured; nats per token."""
    prefix_agreement: float | None = None
    """Share (0…1) of the first 16 words that equal the closest blessed answer's."""
    cache_agreement: float | None = None
    """The same for an answer that may have read the prefix cache, against the fresh one too; None: not checked."""
    similarity: float | None = None
    """Cosine (−1…1) to the closest blessed answer; None without an encoder."""
    centred: float | None = None
    """``similarity`` less the mean that calibration found for this reference."""
    faults: list[str] = []
    """Text checks that failed: empty, loop, mojibake, wrong_script, runaway, truncated."""
    cause: str = ""
    """What changed, when the scores say it: weights, numerics, kv_cache, template."""


class LiveAnswered(Fact, frozen=True, tag="live_answered", kw_only=True):
    """A user asked a reference's question greedily, and the answer was compared with the blessed ones. Numbers only."""

    reference: str
    prefix_agreement: float
    """As in ``ReferenceAnswered``, over the words that both answers were allowed to have."""
    similarity: float | None = None
    centred: float | None = None
    faults: list[str] = []


class CanaryRound(Fact, frozen=True, tag="canary_round", kw_only=True):
    """All references were asked once."""

    round: int
    rank: int = -1
    """The data-parallel rank that was asked; −1: the engine chose."""
    asked: int
    answered: int
    clean: bool | None = None
    """None: too few answers to tell."""
    cause: str = ""
    """The cause that most references name; "" while clean or unclear."""
    because: str = ""
    """Why not all were asked: engine saturated, no user load, no answer."""
    kind: ReasonKind = ReasonKind.UNREADABLE
    """Of ``because``."""


class ReferencesKnown(Fact, frozen=True, tag="references_known", kw_only=True):
    """Which references canaries are compared with from now on."""

    usable: int
    because: str = ""
    """Why there are none: never captured, or captured under another key."""
    encoder_because: str = ""
    """Why similarity cannot be told although there are references; "" when it can."""
    kind: ReasonKind = ReasonKind.NOT_CONFIGURED
    """Of ``because``."""


class CheckpointSeen(Fact, frozen=True, tag="checkpoint_seen", kw_only=True):
    """What is declared and what the engine has in memory."""

    declared: str
    """Path or revision in the configuration of Watchtower or the engine; "" when nobody declares one."""
    observed: str = ""
    """Digest over the engine's own weight checksums; "" when it cannot tell, then ``because`` says why."""
    config_fingerprint: str = ""
    because: str = ""


class EngineSeen(Fact, frozen=True, tag="engine_seen", kw_only=True):
    """One ``observe()`` of the adapter."""

    known: bool
    because: str = ""
    """Why not known (adapter killed at its deadline, keeper unreachable, …)."""
    incarnation: Incarnation | None = None
    """None with ``known`` means: proven not running; then ``because`` says how it ended."""
    ended: Incarnation | None = None
    """Nothing runs, and this is what ran last. Said only by an adapter that would have to start the next one."""
    serving: bool = False
    """The engine says that it accepts requests; a hint, never proof of health."""
    version: str = ""
    kind: ReasonKind = ReasonKind.UNREADABLE
    """Of ``because``, where it is not known."""

    @property
    def how(self) -> str:
        """How it ended, for a sentence."""
        return self.because or "nobody saw how it ended"


class GpuReport(Fact, frozen=True, tag="gpu_report", kw_only=True):
    """One look at the hardware, about once a second."""

    source: GpuSource
    trouble: Trouble | None = None
    """Set when the whole source says nothing (no driver, wedged, released, unreachable)."""
    because: str = ""
    gpus: list[GpuSeen] = []
    xids: list[Xid] = []
    """New since the last report."""


class LoopLagged(Fact, frozen=True, tag="loop_lagged", kw_only=True):
    """The daemon itself was not running for a while: windows covering the gap are UNKNOWN."""

    seconds: float


AnyFact = (
    RelayHello
    | RelayFrame
    | RelayGone
    | RelayEnded
    | EngineScrape
    | CanaryStarted
    | CanaryEnded
    | ReferenceAnswered
    | LiveAnswered
    | CanaryRound
    | ReferencesKnown
    | CheckpointSeen
    | EngineSeen
    | GpuReport
    | LoopLagged
)
