"""Readings and verdicts. A reading has no verdict; a verdict is of (rule, reading). UNKNOWN is a verdict.

Three-valued logic is Kleene's: S. C. Kleene, *Introduction to Metamathematics*, 1952, §64.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from watchtower.vocabulary.actions import Cure
from watchtower.vocabulary.reasons import Reason


class Verdict(StrEnum):
    OK = "ok"
    BREACH = "breach"
    UNKNOWN = "unknown"


class Truth(StrEnum):
    """Kleene's strong three values, used inside rule expressions."""

    TRUE = "true"
    FALSE = "false"
    UNKNOWN = "unknown"


def kleene_and(left: Truth, right: Truth) -> Truth:
    if Truth.FALSE in (left, right):
        return Truth.FALSE
    return Truth.UNKNOWN if Truth.UNKNOWN in (left, right) else Truth.TRUE


def kleene_or(left: Truth, right: Truth) -> Truth:
    if Truth.TRUE in (left, right):
        return Truth.TRUE
    return Truth.UNKNOWN if Truth.UNKNOWN in (left, right) else Truth.FALSE


def kleene_not(value: Truth) -> Truth:
    return {Truth.TRUE: Truth.FALSE, Truth.FALSE: Truth.TRUE, Truth.UNKNOWN: Truth.UNKNOWN}[value]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A number over a window, or UNKNOWN and why. In base units (seconds, ratios)."""

    name: str
    tag: str = ""
    variant: str = ""
    """Whose traffic (``Signal``); "" for all of it."""
    over: float
    """Window length, seconds."""
    at: float
    """End of the window, CLOCK_BOOTTIME seconds."""
    value: float | None
    """None means UNKNOWN; then ``reason`` says why."""
    low: float | None = None
    """Confidence band (95 %); None where the reading is exact. Where the value is UNKNOWN, ``low`` is a proven least
    and ``high`` a proven most, if there is one: enough to prove that something is wrong, or that all is well."""
    high: float | None = None
    estimated: float = 0.0
    """Share, 0 to 1, of the observations whose number of tokens the engine did not tell."""
    samples: int = 0
    """Independent observations behind it (requests, canaries), not tokens."""
    reason: Reason | None = None
    """Why there is no value; None where there is one."""
    remark: str = ""
    """How a value came about, for ``{because}`` in the summary of a rule, e.g. how the engine ended."""
    detail: str = ""
    """What a person should know beside the number, e.g. which GPU and why; rules append it to their sentence."""

    @property
    def known(self) -> bool:
        return self.value is not None

    @property
    def because(self) -> str:
        """One sentence, for displays: why there is no value, or what there is to remark on it."""
        return self.remark if self.reason is None else self.reason.text


class Explanation(NamedTuple):
    """What a named condition answers."""

    truth: Truth
    reason: Reason | None
    """Why it is UNKNOWN; None where it is not."""
    sentence: str
    """What it found, for people."""

    @staticmethod
    def unknown(reason: Reason) -> Explanation:
        """It cannot tell, and its sentence is the reason's."""
        return Explanation(Truth.UNKNOWN, reason, reason.text)


class Severity(StrEnum):
    INFO = "info"
    WARN = "warn"
    PAGE = "page"


class RuleVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule says at one tick: the only thing remediation knows of signals."""

    rule: str
    verdict: Verdict
    firing: bool
    """BREACH has held for the rule's ``for:``."""
    since: float | None = None
    """When the present run of BREACH began (CLOCK_BOOTTIME); None when there is none."""
    severity: Severity = Severity.WARN
    cure: Cure = Cure.NOTHING
    held: str = ""
    """Non-empty: the rule's ``unless:`` is TRUE (explained) or UNKNOWN; the action waits and this says why."""
    held_unknown: bool = False
    """``held`` comes from an UNKNOWN in ``unless:``, not from an explanation that holds."""
    reasons: tuple[Reason, ...] = ()
    """Why leaves of ``when:`` and ``unless:`` are UNKNOWN: each of them, because a silent one must not hide a loud one.
    There may be some although the verdict is known."""
    sentence: str = ""
    """The rule's summary with its values filled in, or why it is UNKNOWN."""
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    readings: tuple[Reading, ...] = ()


class Unit(StrEnum):
    SECONDS = "s"
    RATIO = "ratio"
    COUNT = "count"
    PER_SECOND = "per_second"
    BYTES_PER_SECOND = "bytes_per_second"
    COSINE = "cosine"
    NATS = "nats"


class ReadingKind(msgspec.Struct, frozen=True, kw_only=True):
    """One readable quantity: what a rule may name."""

    name: str
    unit: Unit
    help: str
    labels: tuple[str, ...] = ()
    """What it can be read by: ``tag``, ``variant``."""


_BOTH = ("tag", "variant")
_LATENCY_STATS = {
    "p50": "median",
    "p90": "90th percentile",
    "p95": "95th percentile",
    "p99": "99th percentile",
    "max": "longest raw gap between two reads that carried tokens (the stall)",
    "mean": "mean",
}

READINGS: dict[str, ReadingKind] = {
    kind.name: kind
    for kind in (
        *(
            ReadingKind(
                name=f"inter_token_latency_seconds.{stat}",
                unit=Unit.SECONDS,
                help=f"Time per output token after the first, as the client sees it: {text}.",
                labels=_BOTH,
            )
            for stat, text in _LATENCY_STATS.items()
        ),
        *(
            ReadingKind(
                name=f"time_to_first_token_seconds.{stat}",
                unit=Unit.SECONDS,
                help=f"From the request's last byte to the read that carried the first token: {text}.",
                labels=_BOTH,
            )
            for stat, text in _LATENCY_STATS.items()
            if stat != "max"
        ),
        ReadingKind(
            name="token_progress.stalled",
            unit=Unit.SECONDS,
            help="How long generation exchanges have been open with no token for any of them; 0 while tokens flow.",
        ),
        ReadingKind(
            name="token_progress.rate",
            unit=Unit.PER_SECOND,
            help="Output tokens a second over all exchanges.",
            labels=_BOTH,
        ),
        ReadingKind(
            name="exchanges.open", unit=Unit.COUNT, help="Mean number of generation exchanges open at the engine."
        ),
        ReadingKind(
            name="exchanges.arrival_rate",
            unit=Unit.PER_SECOND,
            help="Generation requests a second that were forwarded to the engine.",
            labels=("tag",),
        ),
        ReadingKind(
            name="exchanges.prompt_rate",
            unit=Unit.BYTES_PER_SECOND,
            help="Bytes of generation requests a second, forwarded or answered with a first token, whichever is more: "
            "a queue of long prompts is still work after they stopped coming.",
        ),
        ReadingKind(
            name="exchanges.error_ratio",
            unit=Unit.RATIO,
            help="Share of ended exchanges that ended in 5xx, an error event or a truncated response; of answers that "
            "are read or of those that are not, whichever is surely worse.",
            labels=_BOTH,
        ),
        ReadingKind(
            name="canary.unanswered",
            unit=Unit.SECONDS,
            help="How long the newest one-token canary has been (or was, at its deadline) without any answer; "
            "0 once one was served.",
        ),
        ReadingKind(name="canary.latency", unit=Unit.SECONDS, help="Total time of the newest served one-token canary."),
        ReadingKind(
            name="engine.absent",
            unit=Unit.SECONDS,
            help="How long the adapter has proven, look after look, that no engine runs; 0 while one runs. UNKNOWN "
            "where the adapter cannot tell, and before the first engine was seen.",
        ),
        ReadingKind(name="engine_running", unit=Unit.COUNT, help="Requests the engine says that it is running."),
        ReadingKind(name="engine_waiting", unit=Unit.COUNT, help="Requests the engine says are queued."),
        ReadingKind(name="engine_kv_cache_ratio", unit=Unit.RATIO, help="KV-cache use the engine reports, 0 to 1."),
        ReadingKind(
            name="gpu_utilization.spread",
            unit=Unit.RATIO,
            help="Range of the ranks' mean utilization inside one tensor-parallel group (15pp = 0.15), while the "
            "engine is at work. A rank that waits in a collective reads busy: see gpu_straggler.score.",
        ),
        ReadingKind(
            name="gpu_utilization.dispersion",
            unit=Unit.RATIO,
            help="Median over the ranks of the standard deviation of their utilization in time. Bursty serving has "
            "40 pp and is healthy: a gauge to look at, not to alert on.",
        ),
        ReadingKind(
            name="gpu_straggler.score",
            unit=Unit.COUNT,
            help="How far the worst rank of a group deviates from its peers in clocks, throttling, power, links or "
            "memory, as a multiple of the allowed deviation: 1 is at the bound, 0 is no difference.",
        ),
        ReadingKind(
            name="gpu_xid.fatal",
            unit=Unit.COUNT,
            help="Fatal errors (Xids) of the GPUs' driver in the window, and those whose GPU has not come back since; "
            "errors of an application are not among them.",
        ),
        ReadingKind(
            name="similarity.mean",
            unit=Unit.COSINE,
            help="Mean cosine of the canaries' answers to the closest blessed answer of each reference, −1 to 1 (some "
            "tools print (1 + cosine) / 2). Needs an encoder.",
        ),
        ReadingKind(
            name="similarity.floor",
            unit=Unit.COSINE,
            help="The same for the reference that moved most. One low answer is normal: a gauge to look at.",
        ),
        ReadingKind(
            name="prefix_agreement.mean",
            unit=Unit.RATIO,
            help="Mean share of the first 16 words that a canary's answer has in common with the closest blessed one.",
        ),
        ReadingKind(
            name="live_agreement.mean",
            unit=Unit.RATIO,
            help="Mean share of the first 16 words that answers to users have in common with the closest blessed one, "
            "where a user asked a reference's question greedily. Users choose when: a gauge beside the canaries.",
        ),
        ReadingKind(
            name="live_similarity.mean",
            unit=Unit.COSINE,
            help="Mean cosine of the same answers to the closest blessed one, −1 to 1. Needs an encoder.",
        ),
        ReadingKind(
            name="cache_agreement.mean",
            unit=Unit.RATIO,
            help="The same for answers that may have been read from the prefix cache: they differ from fresh ones only "
            "when its blocks are corrupt or stale.",
        ),
        ReadingKind(
            name="logprob_shift.mean",
            unit=Unit.NATS,
            help="Mean absolute change per token of the log-probabilities of blessed answers, read again by teacher "
            "forcing. 0 is the same weights and arithmetic; needs an engine that gives prompt_logprobs.",
        ),
        ReadingKind(
            name="logprob_shift.excess",
            unit=Unit.COUNT,
            help="The same as a multiple of what the engine's own noise allows (four times its noise when the "
            "references were captured, at least 0.001 nats): above 1 it does not compute what it did.",
        ),
        ReadingKind(
            name="malformed_output.ratio",
            unit=Unit.RATIO,
            help="Share of the canaries' answers that are empty, looping, garbled, in a wrong script, endless or cut, "
            "where the blessed answers are not.",
        ),
    )
}
"""Every name a rule may use. The generated reference is docs/words.md."""

CONDITIONS: dict[str, str] = {
    "load_explains_latency": "The engine is as slow as it has always been at this many open exchanges; where so many "
    "were never seen, it still delivers as many tokens a second as ever. UNKNOWN without a baseline that can tell; "
    "UNKNOWN holds the action, never the alert.",
}
"""Named conditions for ``unless:``."""
