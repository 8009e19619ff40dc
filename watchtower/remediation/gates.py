"""The gates: what must be true before a serving engine is touched.

One gate is one function in a list. Each looks at the same ``Proposal`` and returns None (permit) or a Refusal with one
sentence that names the value and its threshold. All gates are always asked, so a person sees every reason at once and
dry runs decide exactly as real ones. Gates only read; what they remember lives in the state and so survives restarts.

Here stand the gates that every verb has. What one verb needs besides stands with its remedy.
"""

from __future__ import annotations

import msgspec

from watchtower.remediation.ladder import FAILED, UNDONE
from watchtower.remediation.proposal import (
    Gate,
    Proposal,
    absent_since,
    reaches_back_to,
    replaces_the_dead,
    tried,
)
from watchtower.remediation.remedies import remedy_of
from watchtower.remediation.state import DAY, HOUR, TargetState
from watchtower.settings import RemediationSettings
from watchtower.vocabulary.actions import Mode, Verb
from watchtower.vocabulary.incidents import HoldReason, Refusal
from watchtower.vocabulary.instants import Instant

FLAP_SECONDS = 6 * HOUR


class Judgement(msgspec.Struct, frozen=True):
    """Every gate's answer to one proposal."""

    proposal: Proposal
    refusals: tuple[Refusal, ...]
    permits: tuple[str, ...]
    """Names of the gates that had nothing against it."""


def recent_cycles(state: TargetState, now: Instant) -> int:
    return sum(now.boot - mark < FLAP_SECONDS for mark in state.cycles)


def failures(state: TargetState, now: Instant) -> int:
    """Cures of the last 24 h that did not help, or may not have, since a person last reset the breaker."""
    reset = state.breaker.reset_at
    return sum(
        action.state in FAILED
        and not action.ordered
        and action.ended_at is not None
        and now.boot - action.ended_at < DAY
        and (reset is None or action.ended_at > reset)
        for action in state.actions
    )


def cooldown_length(state: TargetState, now: Instant, limits: RemediationSettings) -> float:
    """Seconds: the base, doubled for every further action of the last 24 h, up to the cap."""
    done = sum(
        action.state not in UNDONE and not action.ordered and now.boot - action.started_at < DAY
        for action in state.actions
    )
    doubled: float = limits.cooldown_seconds * 2.0 ** min(max(0, done - 1), 32)
    return max(limits.cooldown_seconds, min(limits.cooldown_cap_seconds, doubled))


def spent(state: TargetState, now: Instant, pool: str, seconds: float) -> int:
    """Actions of the last ``seconds`` that were charged to this pool."""
    return sum(
        action.charged and remedy_of(action.verb).pool == pool and now.boot - action.started_at < seconds
        for action in state.actions
    )


# ── the gates ───────────────────────────────────────────────────────────────────────────────────


def not_only_observing(proposal: Proposal) -> Refusal | None:
    if proposal.mode is not Mode.OBSERVE:
        return None
    return Refusal(
        HoldReason.OBSERVE,
        f"mode is observe for {proposal.verdict.rule}: Watchtower says what it would do, and does not",
    )


def approved(proposal: Proposal) -> Refusal | None:
    if proposal.mode is not Mode.APPROVE or proposal.approver:
        return None  # where somebody can be asked, that is a state of the action
    return Refusal(
        HoldReason.APPROVAL, f"mode is approve for {proposal.verdict.rule}: a person must approve {proposal.verb}"
    )


def journal_sound(proposal: Proposal) -> Refusal | None:
    if not proposal.state.storage_fault:
        return None
    return Refusal(
        HoldReason.STORAGE, f"the journal cannot be relied on ({proposal.state.storage_fault}): observe only"
    )


def not_paused(proposal: Proposal) -> Refusal | None:
    pause = proposal.state.pause
    if pause is None:
        return None
    left = pause.until - proposal.now.boot
    return Refusal(HoldReason.PAUSED, f"paused by {pause.author} for {left:.0f} s more: {pause.reason}")


def no_order_stands(proposal: Proposal) -> Refusal | None:
    """What a person ordered goes before what a rule asks for."""
    stopped, action = proposal.state.stopped, proposal.state.action
    if stopped:
        return Refusal(HoldReason.OTHER_CONTROLLER, f"{stopped.author} stopped the engine: {stopped.reason}")
    if action:
        return Refusal(HoldReason.OTHER_CONTROLLER, f"{action.op_id} is under way: {action.reason}")
    return None


def cure_possible(proposal: Proposal) -> Refusal | None:
    if proposal.verb not in proposal.capabilities.verbs:
        able = ", ".join(proposal.capabilities.verbs) or "nothing"
        return Refusal(HoldReason.NO_CURE, f"the supervisor cannot do {proposal.verb}; it can do {able}")
    return None


def not_explained(proposal: Proposal) -> Refusal | None:
    if not proposal.verdict.held or proposal.verdict.held_unknown:
        return None
    return Refusal(HoldReason.EXPLAINED, proposal.verdict.held)


def explanation_known(proposal: Proposal) -> Refusal | None:
    if not proposal.verdict.held or not proposal.verdict.held_unknown:
        return None
    return Refusal(HoldReason.DATA_UNKNOWN, proposal.verdict.held)


def evidence_fresh(proposal: Proposal) -> Refusal | None:
    if not proposal.verdict.readings:
        return Refusal(HoldReason.DATA_UNKNOWN, f"{proposal.verdict.rule} names no reading to judge by")
    age = proposal.now.boot - min(reading.at for reading in proposal.verdict.readings)
    limit = proposal.limits.evidence_max_age_seconds
    if age <= limit:
        return None
    return Refusal(HoldReason.DATA_UNKNOWN, f"the readings are {age:.0f} s old; {limit:.0f} s is the limit")


def evidence_confirmed(proposal: Proposal) -> Refusal | None:
    seen = proposal.state.streaks.get(proposal.verdict.rule, 0)
    needed = proposal.limits.dwell_evaluations
    if seen >= needed:
        return None
    return Refusal(
        HoldReason.DATA_UNKNOWN, f"{proposal.verdict.rule} fired in {seen} evaluations in a row; {needed} are needed"
    )


def past_startup(proposal: Proposal) -> Refusal | None:
    started, grace = proposal.state.started_at, proposal.limits.startup_grace_seconds
    running = 0.0 if started is None else proposal.now.boot - started
    if started is not None and running >= grace:
        return None
    return Refusal(HoldReason.STARTUP_GRACE, f"Watchtower has run for {running:.0f} s; it acts after {grace:.0f} s")


def cooled_down(proposal: Proposal) -> Refusal | None:
    since = proposal.state.cooldown_from
    if since is None:
        return None
    passed, needed = proposal.now.boot - since, proposal.state.cooldown_seconds
    if passed >= needed:
        return None
    return Refusal(HoldReason.COOLDOWN, f"the engine was last touched {passed:.0f} s ago; {needed:.0f} s must pass")


def within_budget(proposal: Proposal) -> Refusal | None:
    return over_budget(proposal.state, proposal.now, proposal.limits, proposal.verb)


def over_budget(state: TargetState, now: Instant, limits: RemediationSettings, verb: Verb) -> Refusal | None:
    """The budget that ``verb`` would exceed, if there is one."""
    remedy = remedy_of(verb)
    for allowance in remedy.allowances(limits):
        used, limit = spent(state, now, remedy.pool, allowance.seconds), allowance.limit
        if used >= limit:
            because = f"{used} of {limit} {remedy.pool} in the last {allowance.window} are used"
            return Refusal(HoldReason.BUDGET, because)
    return None


def attempts_left(proposal: Proposal) -> Refusal | None:
    used, limit = len(tried(proposal.state, proposal.incident)), proposal.limits.attempts_per_incident
    if used >= limit:
        return Refusal(HoldReason.ATTEMPTS, f"{used} of {limit} attempts in this incident are used")
    if proposal.rung.exhausted:
        per_rung = proposal.limits.attempts_per_rung
        return Refusal(
            HoldReason.ATTEMPTS, f"every rung up to {proposal.verb} was tried; {per_rung} tries each are allowed"
        )
    return None


def breaker_closed(proposal: Proposal) -> Refusal | None:
    if not proposal.state.breaker.because:
        return None
    return Refusal(HoldReason.BREAKER, f"{proposal.state.breaker.because}; a person must reset the breaker")


def not_flapping(proposal: Proposal) -> Refusal | None:
    cycles, limit = recent_cycles(proposal.state, proposal.now), proposal.limits.flap_cycles
    if cycles < limit:
        return None
    return Refusal(HoldReason.FLAP, f"the trouble came and went {cycles} times in 6 h; {limit} is the limit")


def replica_expendable(proposal: Proposal) -> Refusal | None:
    if proposal.limits.single_replica == "allow" or replaces_the_dead(proposal):
        return None
    return Refusal(
        HoldReason.SINGLE_REPLICA, "this is the only replica known to serve, and remediation.single_replica is refuse"
    )


def lease_held(proposal: Proposal) -> Refusal | None:
    if proposal.state.holds_lease(proposal.now.boot):
        return None
    return Refusal(HoldReason.LEASE, "another Watchtower holds the lease on this target")


def engine_identified(proposal: Proposal) -> Refusal | None:
    engine, limit = proposal.state.engine, proposal.limits.evidence_max_age_seconds
    age = None if engine.looked_at is None else proposal.now.boot - engine.looked_at
    if not engine.known or age is None:
        because = f"the engine cannot be identified: {engine.because}"
    elif age > limit:
        because = f"the engine was last identified {age:.0f} s ago; {limit:.0f} s is the limit"
    elif engine.incarnation is None:
        because = "the engine is not running, and none was ever seen that could be replaced"
    elif engine.running and absent_since(proposal.verdict) is not None:
        because = f"{engine.incarnation} runs, although the readings say that none does"
    elif not engine.running and not replaces_the_dead(proposal):
        because = f"the engine is not running, and {proposal.verdict.rule} does not judge that"
    else:
        return None
    return Refusal(HoldReason.INCARNATION, because)


def evidence_of_this_incarnation(proposal: Proposal) -> Refusal | None:
    changed = proposal.state.engine.changed_at
    if changed is None:
        return None
    before = changed - reaches_back_to(proposal.verdict, proposal.state.clean_since)
    if before <= 0:
        return None
    return Refusal(
        HoldReason.INCARNATION,
        f"the readings reach {before:.0f} s back beyond the engine's last restart; 0 s is the limit",
    )


PERMISSION: tuple[Gate, ...] = (
    not_only_observing,
    approved,
    journal_sound,
    not_paused,
    no_order_stands,
    cure_possible,
)
"""Whether anything may be done, and can be. Asked first, because people read the reasons in this order."""

SAFETY: tuple[Gate, ...] = (
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
"""Whether it is safe now. Asked after the gates of the verb itself."""


def gates_of(verb: Verb) -> tuple[Gate, ...]:
    """Every gate before this verb, in the order people read the reasons."""
    return (*PERMISSION, *remedy_of(verb).gates, *SAFETY)


def judge(proposal: Proposal) -> Judgement:
    """Ask every gate."""
    answers = [(gate.__name__, gate(proposal)) for gate in gates_of(proposal.verb)]
    return Judgement(
        proposal,
        refusals=tuple(refusal for _, refusal in answers if refusal is not None),
        permits=tuple(name for name, refusal in answers if refusal is None),
    )
