"""One cure under way: intent, hold, dispatch, reply, reconciliation, the new incarnation's first canary.

RESERVED and INTENT are recorded in the step that first asks for anything outside, so no effect can exist without them.
``Dispatch`` is asked for in exactly one place and once per op_id; an unclear outcome is never answered by sending
again. Every way out ends in ``finish``, which releases the traffic; every state has a deadline in ``overdue``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from watchtower.remediation.events import (
    Answered,
    AskStatus,
    Dispatch,
    Drained,
    Fenced,
    Hold,
    RaiseFence,
    Release,
    Replied,
    SendCanary,
)
from watchtower.remediation.gates import Judgement, cooldown_length, failures, tried
from watchtower.remediation.incident import escalate, external_change, hold
from watchtower.remediation.ladder import FAILED, UNDONE, next_rung
from watchtower.remediation.state import Action, Terms
from watchtower.remediation.step import Step
from watchtower.vocabulary.actions import ActionState, Answer, Cure, Plan, ReplyKind, Verb
from watchtower.vocabulary.facts import CanaryEnded, CanaryOutcome, EngineSeen
from watchtower.vocabulary.incidents import HoldReason, IncidentState, NoticeKind, Refusal

FRESH_STARTS = 3
"""So often a restart of Watchtower itself gives an action its deadline anew; then it runs on, whatever restarts."""


def plan_of(action: Action) -> Plan:
    """Exactly what is to be done, frozen since INTENT."""
    return Plan(
        op_id=action.op_id,
        verb=action.verb,
        incident=action.incident,
        rule=action.rule,
        expected_incarnation=action.before,
        attempt=action.attempt,
        reason=action.reason,
        not_after=action.not_after,
        fence_token=action.fence_token,
    )


def begin(step: Step, judgement: Judgement, symptoms: tuple[str, ...], *, drain: bool) -> None:
    """Every gate said yes: charge the budget, write the intent, and only then ask for the traffic to be held."""
    question, limits, now = judgement.question, step.limits, step.now
    before = step.state.engine.incarnation
    if before is None:
        raise LookupError("an action needs an incarnation to act on")
    op_id = step.derive("op", 12)
    action = Action(
        op_id=op_id,
        incident=step.incident.id,
        rule=question.verdict.rule,
        symptoms=symptoms,
        verb=question.verb,
        attempt=question.rung.attempt,
        state=ActionState.RESERVED,
        reason=f"{step.incident.id}: {question.verdict.sentence or question.verdict.rule}",
        drain=drain,
        before=before,
        fence_token=step.state.fence_token,
        not_after=now.boot + 2 * limits.execute_seconds,
        terms=Terms(
            execute_seconds=limits.execute_seconds,
            ready_seconds=limits.ready_seconds,
            stabilization_seconds=limits.stabilization_seconds,
            verify_seconds=limits.verify_seconds,
            dwell_evaluations=limits.dwell_evaluations,
        ),
        charged=True,
        started_at=now.boot,
        started_wall=now.wall,
        entered_at=now.boot,
    )
    step.put(actions=(*step.state.actions, action))
    step.amend(actions=(*step.incident.actions, op_id))
    step.advance(ActionState.RESERVED, "every gate permits it", detail={"permits": list(judgement.permits)})
    step.advance(ActionState.INTENT, action.reason, detail={"plan": msgspec.to_builtins(plan_of(action))})
    step.move(IncidentState.ACTING, f"{action.verb}, attempt {action.attempt}: {action.reason}")
    step.tell(
        NoticeKind.ACTING,
        f"{step.incident.title} · Watchtower does {action.verb} (attempt {action.attempt}) on {before}; "
        f"{'open requests finish first, new ones wait' if drain else 'new requests wait'}.",
    )
    step.want(Hold(op_id, drain))


def finish(step: Step, state: ActionState, because: str, *, cooldown: bool = True, external: bool = False) -> None:
    """The action is over and was not proven effective: release, remember, and say where the incident goes."""
    refund = state in UNDONE
    action = step.advance(
        state,
        because,
        charged=step.action.charged and not refund,
        ended_at=step.now.boot,
        ended_wall=step.now.wall,
    )
    step.want(Release(action.op_id))
    if cooldown:
        cool_down(step)
    if state in FAILED:
        trip_breaker(step)
    result = f"{action.verb} (attempt {action.attempt}) is {state}: {because}"
    if external:
        external_change(step, result)
    elif state is ActionState.AMBIGUOUS:
        escalate(step, result)
    elif exhausted(step, action):
        escalate(step, f"{result}; no attempt is left")
    else:
        hold(step, (Refusal(HoldReason.COOLDOWN if cooldown else HoldReason.DATA_UNKNOWN, result),))
        step.tell(NoticeKind.RESULT, f"{step.incident.title} · {result}.")


def exhausted(step: Step, action: Action) -> bool:
    """No further attempt is allowed in this incident."""
    used = tried(step.state, step.incident)
    cure = Cure.ROLLBACK if action.verb is Verb.ROLLBACK else Cure.WARM_RESTART
    rung = next_rung(cure, step.capabilities.verbs, used, step.limits.attempts_per_rung)
    return rung.exhausted or len(used) >= step.limits.attempts_per_incident


def cool_down(step: Step) -> None:
    step.put(cooldown_from=step.now.boot, cooldown_seconds=cooldown_length(step.state, step.now, step.limits))


def trip_breaker(step: Step) -> None:
    """Latched: it stays open until a person resets it, however long ago the failures were."""
    count, limit = failures(step.state, step.now), step.limits.breaker_failures
    if count < limit or step.state.breaker.because:
        return
    because = f"{count} cures in 24 h did not help; {limit} open the breaker"
    step.put(breaker=msgspec.structs.replace(step.state.breaker, because=because, opened_at=step.now.boot))
    step.record("breaker.open", because=because)


# ── what comes back ─────────────────────────────────────────────────────────────────────────────


def in_flight(step: Step, op_id: str, *states: ActionState) -> bool:
    """The action this answer belongs to waits for it. Late, duplicate and foreign answers change nothing."""
    action = step.state.action
    return action is not None and action.op_id == op_id and action.state in states


def ignored(step: Step, what: str, op_id: str) -> None:
    step.record("action.ignored", op_id=op_id, what=what, because="no action in flight waits for it")


def drained(step: Step, event: Drained) -> None:
    """The traffic is held. Look once more, then send: the only place that does."""
    if not in_flight(step, event.op_id, ActionState.INTENT):
        return ignored(step, "drained", event.op_id)
    because = unfit(step)
    if because:
        return finish(step, ActionState.CANCELLED, because, cooldown=False)
    left = f"{event.left_open} exchanges still open" if event.left_open else "no exchange open"
    action = step.advance(ActionState.DISPATCHED, left, dispatched_at=step.now.boot)
    step.want(Dispatch(plan_of(action)))
    return None


def unfit(step: Step) -> str:
    """Why the plan may no longer be sent; "" when it may."""
    action, state = step.action, step.state
    if not state.engine.known:
        return f"the engine can no longer be identified: {state.engine.because}"
    if not state.engine.running or state.engine.incarnation != action.before:
        return f"{action.before} does not run any more"
    if state.storage_fault:
        return f"the journal cannot be relied on: {state.storage_fault}"
    if not state.lease_held:
        return "the lease on this target was lost"
    if action.fence_token < state.fence_token:
        return "a newer decision has fenced it off"
    if step.now.boot > action.not_after:
        return "it is too late: the plan has expired"
    return ""


def replied(step: Step, event: Replied) -> None:
    if not in_flight(step, event.op_id, ActionState.DISPATCHED):
        return ignored(step, f"reply {event.reply.kind}", event.op_id)
    because = event.reply.because
    match event.reply.kind:
        case ReplyKind.ACKED:
            executed(step, because or "the supervisor has begun")
        case ReplyKind.REJECTED:
            finish(step, ActionState.REJECTED, because or "the supervisor refused before any effect")
        case ReplyKind.UNKNOWN:
            reconcile(step, because or "no clear reply")
    return None


def executed(step: Step, because: str) -> None:
    """It was carried out, as far as anybody says; proof comes from the new incarnation."""
    step.advance(ActionState.ACKED, because)
    follow(step)


def reconcile(step: Step, because: str) -> None:
    """Nobody knows whether it happened. Fence first, so that a late message can do nothing; then ask."""
    step.put(fence_token=step.state.fence_token + 1)
    action = step.advance(ActionState.RECONCILE, because, fence_confirmed=False, ask_again=False)
    if step.capabilities.fence:
        step.want(RaiseFence(step.state.fence_token))
    else:
        step.want(AskStatus(action.op_id))


def fenced(step: Step, event: Fenced) -> None:
    action = step.state.action
    if action is None or action.state is not ActionState.RECONCILE or event.token != step.state.fence_token:
        return ignored(step, f"fence {event.token}", action.op_id if action else "")
    step.revise(fence_confirmed=action.fence_confirmed or event.confirmed)
    step.want(AskStatus(action.op_id))
    return None


def answered(step: Step, event: Answered) -> None:
    if not in_flight(step, event.op_id, ActionState.RECONCILE):
        return ignored(step, f"status {event.answer}", event.op_id)
    match event.answer:
        case Answer.DONE:
            executed(step, "the supervisor says that it was done")
        case Answer.NOT_DONE if step.capabilities.idempotent_durable or step.action.fence_confirmed:
            finish(
                step,
                ActionState.NOT_EXECUTED,
                "the supervisor promises that it did not and will not happen",
                cooldown=step.action.restarts == 0,
            )
        case Answer.NOT_DONE:
            finish(
                step, ActionState.AMBIGUOUS, "the supervisor says not done, but could not rule out that it comes late"
            )
        case Answer.PENDING | Answer.CANNOT_TELL:
            step.revise(ask_again=True)
    return None


def ask_again(step: Step) -> None:
    """At each evaluation: an answer that settled nothing is asked for once more, until the deadline."""
    if step.action.state is ActionState.RECONCILE and step.action.ask_again:
        step.revise(ask_again=False)
        step.want(AskStatus(step.action.op_id))


# ── what is seen ────────────────────────────────────────────────────────────────────────────────


def seen(step: Step, fact: EngineSeen) -> None:
    """The adapter identified the engine (or proved that none runs) while a cure is under way."""
    action = step.action
    gone = fact.incarnation is None
    match action.state:
        case ActionState.INTENT if gone:
            finish(step, ActionState.CANCELLED, "the engine went away before anything was done", cooldown=False)
        case ActionState.INTENT if fact.incarnation != action.before:
            finish(step, ActionState.CANCELLED, f"it restarted by itself ({fact.incarnation})", external=True)
        case ActionState.DISPATCHED | ActionState.RECONCILE if not gone and fact.incarnation != action.before:
            executed(step, f"a new incarnation runs ({fact.incarnation})")
        case ActionState.ACKED:
            follow(step)
        case ActionState.VERIFYING if gone:
            finish(step, ActionState.INEFFECTIVE, f"the new incarnation {action.after} went away")
        case ActionState.VERIFYING if fact.incarnation != action.after:
            finish(
                step,
                ActionState.INCONCLUSIVE,
                f"the engine restarted again, not by Watchtower ({fact.incarnation})",
                external=True,
            )


def follow(step: Step) -> None:
    """Acknowledged: wait for another incarnation that says it serves, and have it prove that with a canary."""
    action, engine = step.action, step.state.engine
    new = engine.incarnation if engine.known and engine.running and engine.incarnation != action.before else None
    if new != action.after and (engine.known or action.after is None):
        step.revise(after=new, after_seen_at=engine.looked_at if new else None)
    if new and engine.serving:
        step.want(SendCanary(f"first proof of {new} after {action.op_id}"))


def canaried(step: Step, fact: CanaryEnded) -> None:
    """A served canary that began after the new incarnation was first seen: traffic may flow again."""
    action = step.state.action
    if action is None or action.state is not ActionState.ACKED or action.after_seen_at is None:
        return
    if fact.outcome is not CanaryOutcome.SERVED or fact.started_at < action.after_seen_at:
        return
    step.advance(
        ActionState.VERIFYING,
        f"{action.after} served a canary in {fact.seconds:.2f} s",
        canary_seconds=fact.seconds,
        settling_from=step.now.boot,
        breaches=0,
    )
    step.want(Release(action.op_id))
    step.move(IncidentState.VERIFYING, f"{action.after} serves; waiting for readings that prove the cure")


# ── time, and ourselves ─────────────────────────────────────────────────────────────────────────


def restarted(step: Step) -> None:
    """Watchtower came up and finds an action under way. What was sent is not known; what was proven stays proven."""
    action = step.action
    fresh: dict[str, Any] = {"entered_at": step.now.boot} if action.restarts < FRESH_STARTS else {}
    step.revise(restarts=action.restarts + 1, **fresh)
    match action.state:
        case ActionState.RESERVED:
            finish(step, ActionState.CANCELLED, "Watchtower restarted before anything was intended", cooldown=False)
        case ActionState.INTENT | ActionState.DISPATCHED | ActionState.RECONCILE:
            entered = step.action.entered_at
            reconcile(step, "Watchtower restarted in the middle of it")
            step.revise(entered_at=entered)
        case ActionState.VERIFYING:
            step.revise(settling_from=step.now.boot, breaches=0)
            step.want(Release(action.op_id))


def overdue(step: Step) -> None:
    """No state of an action lasts for ever."""
    action = step.state.action
    if action is None:
        return
    waited, terms = step.now.boot - action.entered_at, action.terms
    match action.state:
        case ActionState.RESERVED | ActionState.INTENT if waited > terms.execute_seconds:
            finish(step, ActionState.CANCELLED, f"the traffic was not held within {terms.execute_seconds:.0f} s")
        case ActionState.DISPATCHED if waited > terms.execute_seconds:
            reconcile(step, f"no reply within {terms.execute_seconds:.0f} s")
        case ActionState.RECONCILE if waited > terms.execute_seconds:
            finish(
                step,
                ActionState.AMBIGUOUS,
                f"nobody could say within {terms.execute_seconds:.0f} s whether it happened; it is not sent again",
            )
        case ActionState.ACKED if waited > terms.ready_seconds:
            what = f"{action.after} served no canary" if action.after else f"{action.before} was never replaced"
            finish(step, ActionState.INEFFECTIVE, f"{what} within {terms.ready_seconds:.0f} s")
        case ActionState.VERIFYING if waited > terms.verify_seconds:
            if action.breaches:
                finish(step, ActionState.INEFFECTIVE, f"still breaching after {terms.verify_seconds:.0f} s")
            else:
                finish(
                    step, ActionState.INCONCLUSIVE, f"no readings to judge it by within {terms.verify_seconds:.0f} s"
                )
