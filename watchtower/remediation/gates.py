"""The gates: what must be true before a serving engine is touched.

One gate is one function in ``GATES``. Each looks at the same ``Question`` and returns None (permit) or a Refusal with
one sentence that names the value and its threshold. All gates are always asked, so a person sees every reason at once
and dry runs decide exactly as real ones. Gates only read; what they remember lives in the state and so survives
restarts.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from watchtower.remediation.checkpoints import short
from watchtower.remediation.ladder import FAILED, UNDONE, Rung
from watchtower.remediation.state import DAY, Action, Incident, TargetState
from watchtower.settings import RemediationSettings
from watchtower.vocabulary.actions import Capabilities, Mode, Verb
from watchtower.vocabulary.incidents import HoldReason, Refusal
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.readings import RuleVerdict

HOUR = 3600.0
FLAP_SECONDS = 6 * HOUR
ABSENT = "engine.absent"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """May this rule's cure be carried out now?"""

    verdict: RuleVerdict
    rung: Rung
    mode: Mode
    incident: Incident
    state: TargetState
    now: Instant
    limits: RemediationSettings
    capabilities: Capabilities

    @property
    def verb(self) -> Verb:
        return self.rung.verb


class Judgement(msgspec.Struct, frozen=True):
    """Every gate's answer to one question."""

    question: Question
    refusals: tuple[Refusal, ...]
    permits: tuple[str, ...]
    """Names of the gates that had nothing against it."""


Gate = Callable[[Question], Refusal | None]


def mode_of(limits: RemediationSettings, rule: str, verb: Verb) -> Mode:
    """The most precise entry wins: ``rule.verb``, then ``rule``, then the general mode."""
    return limits.modes.get(f"{rule}.{verb}") or limits.modes.get(rule) or limits.mode


def tried(state: TargetState, incident: Incident) -> tuple[Action, ...]:
    """Actions of this incident that nobody has forgiven, oldest first."""
    since = incident.attempts_from
    return tuple(
        action
        for action in state.actions
        if action.incident == incident.id and (since is None or action.started_at > since)
    )


def reaches_back_to(verdict: RuleVerdict, clean_since: float | None) -> float:
    """The oldest instant (CLOCK_BOOTTIME) whose data this verdict can rest on; minus infinity without readings."""
    oldest = min((reading.at - reading.over for reading in verdict.readings), default=-math.inf)
    return oldest if clean_since is None else max(oldest, clean_since)


def absent_since(verdict: RuleVerdict) -> float | None:
    """The instant (CLOCK_BOOTTIME) from which its own readings prove that no engine runs; None when they do not."""
    return next((one.at - one.value for one in verdict.readings if one.name == ABSENT and one.value), None)


def recent_cycles(state: TargetState, now: Instant) -> int:
    return sum(now.boot - mark < FLAP_SECONDS for mark in state.cycles)


def failures(state: TargetState, now: Instant) -> int:
    """Cures of the last 24 h that did not help, or may not have, since a person last reset the breaker."""
    reset = state.breaker.reset_at
    return sum(
        action.state in FAILED
        and action.ended_at is not None
        and now.boot - action.ended_at < DAY
        and (reset is None or action.ended_at > reset)
        for action in state.actions
    )


def cooldown_length(state: TargetState, now: Instant, limits: RemediationSettings) -> float:
    """Seconds: the base, doubled for every further action of the last 24 h, up to the cap."""
    done = sum(action.state not in UNDONE and now.boot - action.started_at < DAY for action in state.actions)
    doubled: float = limits.cooldown_seconds * 2.0 ** min(max(0, done - 1), 32)
    return max(limits.cooldown_seconds, min(limits.cooldown_cap_seconds, doubled))


def _spent(state: TargetState, now: Instant, seconds: float, *, rollback: bool) -> int:
    return sum(
        action.charged and (action.verb is Verb.ROLLBACK) is rollback and now.boot - action.started_at < seconds
        for action in state.actions
    )


def since_when(question: Question) -> float:
    """From when on the weights must have been read back: the breach, or the last cure, whichever is later."""
    began = question.verdict.since if question.verdict.since is not None else question.incident.opened_at
    return max(began, *(action.ended_at or 0.0 for action in question.state.actions[-1:]), 0.0)


def replaces_the_dead(question: Question) -> bool:
    """Nothing runs, the rule's own readings prove it, and the adapter's last look says the same."""
    engine = question.state.engine
    return engine.known and not engine.running and absent_since(question.verdict) is not None


# ── the gates ───────────────────────────────────────────────────────────────────────────────────


def not_only_observing(question: Question) -> Refusal | None:
    if question.mode is not Mode.OBSERVE:
        return None
    return Refusal(
        HoldReason.OBSERVE,
        f"mode is observe for {question.verdict.rule}: Watchtower says what it would do, and does not",
    )


def approved(question: Question) -> Refusal | None:
    if question.mode is not Mode.APPROVE:
        return None
    return Refusal(
        HoldReason.APPROVAL, f"mode is approve for {question.verdict.rule}: a person must approve {question.verb}"
    )


def journal_sound(question: Question) -> Refusal | None:
    if not question.state.storage_fault:
        return None
    return Refusal(
        HoldReason.STORAGE, f"the journal cannot be relied on ({question.state.storage_fault}): observe only"
    )


def not_paused(question: Question) -> Refusal | None:
    pause = question.state.pause
    if pause is None:
        return None
    left = pause.until - question.now.boot
    return Refusal(HoldReason.PAUSED, f"paused by {pause.author} for {left:.0f} s more: {pause.reason}")


def cure_possible(question: Question) -> Refusal | None:
    if question.verb not in question.capabilities.verbs:
        able = ", ".join(question.capabilities.verbs) or "nothing"
        return Refusal(HoldReason.NO_CURE, f"the supervisor cannot do {question.verb}; it can do {able}")
    return None


def checkpoint_blessed(question: Question) -> Refusal | None:
    if question.verb is not Verb.ROLLBACK or question.state.checkpoints.blessed:
        return None
    return Refusal(HoldReason.NO_CURE, "no checkpoint is blessed, so there is nothing to roll back to")


def checkpoint_read_back(question: Question) -> Refusal | None:
    """Needs an engine whose weights can be read: without that, no reload could ever be proven."""
    if question.verb is not Verb.ROLLBACK:
        return None
    known = question.state.checkpoints
    if known.looked_at is None or not known.observed:
        return Refusal(HoldReason.DATA_UNKNOWN, f"which weights are in memory is not known: {known.because}")
    late = since_when(question) - known.looked_at
    if late <= 0:
        return None
    return Refusal(
        HoldReason.DATA_UNKNOWN,
        f"the weights were last read back {late:.0f} s before this breach began; 0 s is the limit",
    )


def checkpoint_changed(question: Question) -> Refusal | None:
    known = question.state.checkpoints
    if question.verb is not Verb.ROLLBACK or not known.is_blessed or checkpoint_read_back(question):
        return None  # what was read before the breach says nothing
    return Refusal(
        HoldReason.NO_CHECKPOINT_CHANGE,
        f"the blessed checkpoint {short(known.observed)} is in memory, so other weights are not what changed",
    )


def not_explained(question: Question) -> Refusal | None:
    if not question.verdict.held or question.verdict.held_unknown:
        return None
    return Refusal(HoldReason.EXPLAINED, question.verdict.held)


def explanation_known(question: Question) -> Refusal | None:
    if not question.verdict.held or not question.verdict.held_unknown:
        return None
    return Refusal(HoldReason.DATA_UNKNOWN, question.verdict.held)


def evidence_fresh(question: Question) -> Refusal | None:
    if not question.verdict.readings:
        return Refusal(HoldReason.DATA_UNKNOWN, f"{question.verdict.rule} names no reading to judge by")
    age = question.now.boot - min(reading.at for reading in question.verdict.readings)
    limit = question.limits.evidence_max_age_seconds
    if age <= limit:
        return None
    return Refusal(HoldReason.DATA_UNKNOWN, f"the readings are {age:.0f} s old; {limit:.0f} s is the limit")


def evidence_confirmed(question: Question) -> Refusal | None:
    seen = question.state.streaks.get(question.verdict.rule, 0)
    needed = question.limits.dwell_evaluations
    if seen >= needed:
        return None
    return Refusal(
        HoldReason.DATA_UNKNOWN, f"{question.verdict.rule} fired in {seen} evaluations in a row; {needed} are needed"
    )


def past_startup(question: Question) -> Refusal | None:
    started, grace = question.state.started_at, question.limits.startup_grace_seconds
    running = 0.0 if started is None else question.now.boot - started
    if started is not None and running >= grace:
        return None
    return Refusal(HoldReason.STARTUP_GRACE, f"Watchtower has run for {running:.0f} s; it acts after {grace:.0f} s")


def cooled_down(question: Question) -> Refusal | None:
    since = question.state.cooldown_from
    if since is None:
        return None
    passed, needed = question.now.boot - since, question.state.cooldown_seconds
    if passed >= needed:
        return None
    return Refusal(HoldReason.COOLDOWN, f"the engine was last touched {passed:.0f} s ago; {needed:.0f} s must pass")


def within_budget(question: Question) -> Refusal | None:
    return over_budget(question.state, question.now, question.limits, question.verb)


def over_budget(state: TargetState, now: Instant, limits: RemediationSettings, verb: Verb) -> Refusal | None:
    """The budget that ``verb`` would exceed, if there is one."""
    rollback = verb is Verb.ROLLBACK
    what = "rollbacks" if rollback else "restarts"
    per_day = limits.rollbacks_per_day if rollback else limits.restarts_per_day
    windows = (
        [("24 h", DAY, per_day)] if rollback else [("hour", HOUR, limits.restarts_per_hour), ("24 h", DAY, per_day)]
    )
    for window, seconds, limit in windows:
        spent = _spent(state, now, seconds, rollback=rollback)
        if spent >= limit:
            return Refusal(HoldReason.BUDGET, f"{spent} of {limit} {what} in the last {window} are used")
    return None


def attempts_left(question: Question) -> Refusal | None:
    used, limit = len(tried(question.state, question.incident)), question.limits.attempts_per_incident
    if used >= limit:
        return Refusal(HoldReason.ATTEMPTS, f"{used} of {limit} attempts in this incident are used")
    if question.rung.exhausted:
        per_rung = question.limits.attempts_per_rung
        return Refusal(
            HoldReason.ATTEMPTS, f"every rung up to {question.verb} was tried; {per_rung} tries each are allowed"
        )
    return None


def breaker_closed(question: Question) -> Refusal | None:
    if not question.state.breaker.because:
        return None
    return Refusal(HoldReason.BREAKER, f"{question.state.breaker.because}; a person must reset the breaker")


def not_flapping(question: Question) -> Refusal | None:
    cycles, limit = recent_cycles(question.state, question.now), question.limits.flap_cycles
    if cycles < limit:
        return None
    return Refusal(HoldReason.FLAP, f"the trouble came and went {cycles} times in 6 h; {limit} is the limit")


def replica_expendable(question: Question) -> Refusal | None:
    if question.limits.single_replica == "allow" or replaces_the_dead(question):
        return None
    return Refusal(
        HoldReason.SINGLE_REPLICA, "this is the only replica known to serve, and remediation.single_replica is refuse"
    )


def lease_held(question: Question) -> Refusal | None:
    if question.state.lease_held:
        return None
    return Refusal(HoldReason.LEASE, "another Watchtower holds the lease on this target")


def engine_identified(question: Question) -> Refusal | None:
    engine, limit = question.state.engine, question.limits.evidence_max_age_seconds
    age = None if engine.looked_at is None else question.now.boot - engine.looked_at
    if not engine.known or age is None:
        because = f"the engine cannot be identified: {engine.because}"
    elif age > limit:
        because = f"the engine was last identified {age:.0f} s ago; {limit:.0f} s is the limit"
    elif engine.incarnation is None:
        because = "the engine is not running, and none was ever seen that could be replaced"
    elif engine.running and absent_since(question.verdict) is not None:
        because = f"{engine.incarnation} runs, although the readings say that none does"
    elif not engine.running and not replaces_the_dead(question):
        because = f"the engine is not running, and {question.verdict.rule} does not judge that"
    else:
        return None
    return Refusal(HoldReason.INCARNATION, because)


def evidence_of_this_incarnation(question: Question) -> Refusal | None:
    changed = question.state.engine.changed_at
    if changed is None:
        return None
    before = changed - reaches_back_to(question.verdict, question.state.clean_since)
    if before <= 0:
        return None
    return Refusal(
        HoldReason.INCARNATION,
        f"the readings reach {before:.0f} s back beyond the engine's last restart; 0 s is the limit",
    )


GATES: tuple[Gate, ...] = (
    not_only_observing,
    approved,
    journal_sound,
    not_paused,
    cure_possible,
    checkpoint_blessed,
    checkpoint_read_back,
    checkpoint_changed,
    not_explained,
    explanation_known,
    evidence_fresh,
    evidence_confirmed,
    past_startup,
    cooled_down,
    within_budget,
    attempts_left,
    breaker_closed,
    not_flapping,
    replica_expendable,
    lease_held,
    engine_identified,
    evidence_of_this_incarnation,
)
"""Every gate there is, in the order people read the reasons."""


def judge(question: Question) -> Judgement:
    """Ask every gate."""
    answers = [(gate.__name__, gate(question)) for gate in GATES]
    return Judgement(
        question,
        refusals=tuple(refusal for _, refusal in answers if refusal is not None),
        permits=tuple(name for name, refusal in answers if refusal is None),
    )
