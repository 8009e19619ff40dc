"""The board: what is true right now, as people are shown it. A display, never an input: nothing decides by it.

Plain values only. One place writes it (the daemon's display, after each tick and after each commit), faces read it (web
and exporters), and nobody else may import it. Remediation's part appears here only after its transaction is durable.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from watchtower.vocabulary.endings import CountsAs
from watchtower.vocabulary.facts import CanaryOutcome, EngineSeen, RelayFrame
from watchtower.vocabulary.headline import Headline, Watched, as_of
from watchtower.vocabulary.histograms import HistogramTotals
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.readings import Reading, RuleVerdict
from watchtower.vocabulary.sight import watch_state
from watchtower.vocabulary.unread import RouteUnread, UnreadCause, by_requests


@dataclass(frozen=True)
class SinkHealth:
    """How one sink fares. Attempts, not notices."""

    ok: int
    failed: int
    up: bool
    fallbacks: int = 0
    """Messages in the built-in words, because the user's template failed."""


HISTORY = 300
"""Evaluations that the console can look back on."""


@dataclass
class Board:
    """One daemon's present. Times are CLOCK_BOOTTIME seconds unless they say wall."""

    target: str
    version: str
    mode: str
    profile: str
    started: Instant
    watched: Watched = field(init=False)
    """What the newest headline was made of."""
    shown: Headline | None = None
    """The headline of the newest evaluation; None before the first."""
    ready_because: str = "starting"
    """Why we are not ready yet; "" when we are."""
    last_tick: Instant | None = None
    ticks: int = 0
    loop_lag_seconds: float = 0.0
    readings: tuple[Reading, ...] = ()
    verdicts: tuple[RuleVerdict, ...] = ()
    latency: deque[tuple[float, float | None]] = field(default_factory=lambda: deque(maxlen=HISTORY))
    """(wall, p95 inter-token latency in seconds; None: UNKNOWN) of the newest evaluations, oldest first."""
    engine: EngineSeen | None = None
    contacts: list[dict[str, Any]] = field(default_factory=list)
    """by, kind, seconds_ago: when each of our hands last reached the engine, and last failed to."""
    serving: dict[str, Any] = field(default_factory=lambda: {"known": False, "serving": True, "reason": "starting"})
    """The JSON of ``/-/serving``."""
    relay_frames: dict[int, RelayFrame] = field(default_factory=dict)
    """Newest frame of each connected relay process, by pid: one that leaves and its successor share a number."""
    relay_counts: dict[str, int] = field(default_factory=dict)
    """Of all relay processes that reported to this daemon, also those that ended: a count never falls."""
    relay_unread: dict[tuple[str, UnreadCause], RouteUnread] = field(default_factory=dict)
    """What passed unread, by route and cause, of the same processes."""
    relay_bypass: dict[str, Any] | None = None
    """author, reason, since_wall, ends, by_itself, workers (that obey), of (how many); None: nobody ordered it."""
    relay_listening: str = ""
    exchanges: dict[CountsAs, int] = field(default_factory=lambda: dict.fromkeys(CountsAs, 0))
    """Those that ended since our start, by what their ending counts as."""
    canaries: dict[CanaryOutcome, int] = field(default_factory=dict)
    references: dict[str, Any] = field(default_factory=dict)
    """id and usable of the references in force; rounds and answers by result, tokens: what canaries cost so far."""
    output_shift: dict[str, Any] = field(default_factory=dict)
    """The JSON of ``/api/v1/drift``: how far live answers have moved, and which prompts most. Names, never text."""
    samples: dict[str, Any] = field(default_factory=dict)
    """counts of samples by what became of them, waiting_bytes."""
    histograms: dict[str, dict[str, HistogramTotals]] = field(default_factory=dict)
    """By reading family, e.g. ``inter_token_latency_seconds``, then by model."""
    incidents: list[dict[str, Any]] = field(default_factory=list)
    """Newest first."""
    incident: dict[str, Any] | None = None
    """The one that is not over."""
    actions: list[dict[str, Any]] = field(default_factory=list)
    """Newest first."""
    action: dict[str, Any] | None = None
    paused: dict[str, Any] | None = None
    storage_fault: str = ""
    gpus: dict[str, Any] = field(default_factory=dict)
    """source, because, groups, gpus, placement: the JSON of ``/api/v1/gpus``; empty before the first look."""
    checkpoints: dict[str, Any] = field(default_factory=dict)
    """The JSON of ``/api/v1/checkpoints``."""
    outbox: dict[str, float] = field(default_factory=dict)
    """sent, failed, pending, dropped, oldest_age_seconds."""
    counters: dict[str, float] = field(default_factory=dict)
    """Self-metrics of queues and children, cumulative, by name (``vocabulary.metrics.INTERNAL_EVENTS``)."""
    evaluation_seconds: float = 0.0
    """How long the newest evaluation took."""
    engine_restarts: int = 0
    """Times that another incarnation was seen."""
    engine_scrapes: dict[str, int] = field(default_factory=lambda: {"ok": 0, "failed": 0})
    incidents_opened: int = 0
    actions_ended: dict[str, dict[str, int]] = field(default_factory=dict)
    """By verb, then by result."""
    sinks: dict[str, SinkHealth] = field(default_factory=dict)
    queues: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Our own bounded queues: (what waits, what fits)."""
    children: dict[str, bool] = field(default_factory=dict)
    """Child processes: whether each answers."""
    telemetry: dict[str, dict[str, int]] = field(default_factory=dict)
    """Batches to the OTLP collector by signal, then by result."""

    def __post_init__(self) -> None:
        self.watched = Watched(target=self.target, tick_at=None, tick_seconds=1.0, started_at=self.started.boot)

    def headline(self, now: Instant) -> Headline:
        """How things are; that evaluations stay away is found here, by whoever asks."""
        return as_of(self.shown, self.watched, now.boot)

    def status(self, now: Instant) -> dict[str, Any]:
        """The JSON of ``/api/v1/status``."""
        frames = self.relay_frames.values()
        seen = self.engine
        return {
            "target": self.target,
            "headline": self.headline(now).document(),
            "version": self.version,
            "mode": self.mode,
            "profile": self.profile,
            "ready": not self.ready_because,
            "ready_because": self.ready_because,
            "now": {"boot": now.boot, "wall": now.wall},
            "started": self.started.boot,
            "engine": {
                "known": bool(seen and seen.known),
                "because": seen.because if seen else "not looked yet",
                "incarnation": _incarnation(seen),
                "serving": bool(seen and seen.serving),
                "version": seen.version if seen else "",
                "contacts": self.contacts,
            },
            "relay": {
                "workers": len(self.relay_frames),
                "listening": self.relay_listening,
                "open": sum(frame.open_exchanges for frame in frames),
                "answering": sum(frame.under_way for frame in frames),
                "unread": [_unread(passed) for passed in by_requests(self.relay_unread.values())],
                "bypass": self.relay_bypass,
                "parked": sum(frame.parked for frame in frames),
                "strangers": self.counters.get("relay_strangers", 0),
                "hold": max((frame.hold.value for frame in frames), default="open", key=lambda hold: hold == "holding"),
            },
            "answers_to_serving": self.serving,
            "readings": [_reading(reading) for reading in self.readings],
            "watching": watch_state(self.verdicts).value,
            "rules": [_verdict(verdict) for verdict in self.verdicts],
            "incident": self.incident,
            "action": self.action,
            "paused": self.paused,
            "storage_fault": self.storage_fault,
            "checkpoint": {
                name: self.checkpoints.get(name) for name in ("state", "declared", "observed", "because", "blessed")
            },
        }


def _unread(passed: RouteUnread) -> dict[str, Any]:
    return {
        "route": passed.route,
        "cause": passed.cause.value,
        "requests": passed.requests,
        "statuses": passed.statuses,
        "endings": passed.endings,
        "mean_seconds": passed.mean_seconds,
    }


def _incarnation(seen: EngineSeen | None) -> dict[str, str] | None:
    if seen is None or seen.incarnation is None:
        return None
    return {"id": seen.incarnation.id, "started": seen.incarnation.started, "boot_id": seen.incarnation.boot_id}


def _reading(reading: Reading) -> dict[str, Any]:
    return {
        "name": reading.name,
        "over": reading.over,
        "value": reading.value,
        "low": reading.low,
        "high": reading.high,
        "samples": reading.samples,
        "estimated": reading.estimated,
        "because": reading.because,
        "kind": None if reading.reason is None else reading.reason.kind.value,
        "detail": reading.detail,
    }


def _verdict(verdict: RuleVerdict) -> dict[str, Any]:
    return {
        "rule": verdict.rule,
        "verdict": verdict.verdict.value,
        "firing": verdict.firing,
        "since": verdict.since,
        "severity": verdict.severity.value,
        "cure": verdict.cure.value,
        "sentence": verdict.sentence,
        "value": verdict.value,
        "limit": verdict.limit,
        "unit": verdict.unit,
        "held": verdict.held,
        "reasons": [
            {"kind": reason.kind.value, "part": reason.part, "because": reason.text} for reason in verdict.reasons
        ],
    }
