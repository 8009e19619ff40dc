"""One cure under way, from the first answer of anybody else to the reply of the adapter.

``departure`` has written the intent before anything outside was asked for. ``Dispatch`` is asked for in exactly one
place and once per op_id; an unclear outcome is never answered by sending again. Every state has a deadline in
``overdue``; every way out that is no proof goes through ``conclusion.finish``.
"""

from __future__ import annotations

import msgspec

from watchtower.remediation.arrival import executed, follow
from watchtower.remediation.conclusion import finish
from watchtower.remediation.departure import hold_traffic, intend, latest_start, plan_of, reserve
from watchtower.remediation.fitness import unfit
from watchtower.remediation.interface import (
    Approved,
    Collect,
    Denied,
    Dispatch,
    Drained,
    EvidenceCollected,
    ExecuteReplied,
    Reserved,
)
from watchtower.remediation.reconciliation import reconcile
from watchtower.remediation.remedies import remedy_of
from watchtower.remediation.remedies.remedy import Conclusion, Executed
from watchtower.remediation.step import Step
from watchtower.vocabulary.actions import BEFORE_SENDING, ActionState, ReplyKind
from watchtower.vocabulary.facts import EngineSeen

RESERVE_SECONDS = 10.0
"""How long the fleet may take to answer; after that its answer is no."""
COLLECT_SECONDS = 15.0
"""How long saving the evidence may take; after that the cure goes on without."""


def approved(step: Step, event: Approved) -> None:
    """A person said yes to exactly this. The world is looked at again before anything is intended."""
    if not step.awaited(event.op_id, ActionState.AWAITING_APPROVAL):
        return step.ignore("approval", event.op_id)
    action = step.action
    if action.approval is None or event.digest != action.approval.digest:
        return step.ignore("approval of something else", event.op_id)
    step.revise(approval=msgspec.structs.replace(action.approval, by=event.by), not_after=latest_start(step))
    if because := unfit(step) or withdrawn(step):
        return finish(step, ActionState.CANCELLED, because, cooldown=False)
    reserve(step, f"approved by {event.by}", {"approved_by": event.by})
    hold_traffic(step)
    return None


def denied(step: Step, event: Denied) -> None:
    if not step.awaited(event.op_id, ActionState.AWAITING_APPROVAL):
        return step.ignore("denial", event.op_id)
    finish(step, ActionState.CANCELLED, f"denied by {event.by}: {event.reason}")
    return None


def withdrawn(step: Step) -> str:
    """Why the gates would not permit it any more, now that somebody else was asked; "" when they would. An order never
    passed them, and a compensation belongs to what is under way."""
    action, state = step.action, step.state
    if action.ordered or action.compensates:
        return ""
    if state.pause:
        return f"paused by {state.pause.author}: {state.pause.reason}"
    if state.breaker.because:
        return state.breaker.because
    if state.streaks.get(action.rule, 0) < step.limits.dwell_evaluations:
        return f"{action.rule} does not fire any more"
    return ""


def reserved(step: Step, event: Reserved) -> None:
    """The fleet's word. Anything but a plain yes is a no."""
    if not step.awaited(event.op_id, ActionState.RESERVING):
        return step.ignore("reservation", event.op_id)
    if not event.granted:  # asked again after a cooldown: whoever is served first needs the time
        return finish(step, ActionState.CANCELLED, event.because or "the fleet refused")
    if because := unfit(step) or withdrawn(step):
        return finish(step, ActionState.CANCELLED, because, cooldown=False)
    step.advance(ActionState.RESERVED, event.because or "the fleet agrees")
    intend(step)
    hold_traffic(step)
    return None


def drained(step: Step, event: Drained) -> None:
    """The traffic is held. What a restart would destroy is saved now, if anybody saves it."""
    if not step.awaited(event.op_id, ActionState.HOLDING):
        return step.ignore("drained", event.op_id)
    if because := unfit(step):
        return finish(step, ActionState.CANCELLED, because, cooldown=False)
    left = f"{event.left_open} exchanges still open" if event.left_open else "no exchange open"
    if not step.participants.collector:
        return send(step, left)
    step.advance(ActionState.COLLECTING, left)
    step.want(Collect(event.op_id))
    return None


def collected(step: Step, event: EvidenceCollected) -> None:
    """Saved, or as much of it as there was: the cure never waits for its own explanation."""
    if not step.awaited(event.op_id, ActionState.COLLECTING):
        return step.ignore("evidence", event.op_id)
    step.revise(bundle=event.bundle)
    because = f"evidence is saved as {event.bundle}" if event.bundle else event.because or "there was no evidence"
    return send(step, because)


def send(step: Step, because: str) -> None:
    """Look once more, then send: the only place that does."""
    if misfit := unfit(step):
        return finish(step, ActionState.CANCELLED, misfit, cooldown=False)
    action = step.advance(ActionState.DISPATCHED, because, dispatched_at=step.now.boot)
    step.want(Dispatch(plan_of(action)))
    return None


def replied(step: Step, event: ExecuteReplied) -> None:
    if not step.awaited(event.op_id, ActionState.DISPATCHED):
        return step.ignore(f"reply {event.reply.kind}", event.op_id)
    because = event.reply.because
    match event.reply.kind:
        case ReplyKind.ACKED:
            executed(step, because or "the supervisor has begun")
        case ReplyKind.REJECTED:
            finish(step, ActionState.REJECTED, because or "the supervisor refused before any effect")
        case ReplyKind.FAILED:
            finish(step, ActionState.HARMFUL, because or "it was carried out, and it failed")
        case ReplyKind.UNKNOWN:
            reconcile(step, because or "no clear reply")
    return None


def seen(step: Step, fact: EngineSeen) -> None:
    """The adapter identified the engine (or proved that none runs) while a cure is under way."""
    action = step.action
    if action.state in BEFORE_SENDING:
        return seen_before_sending(step, fact)
    match remedy_of(action.verb).proof.seen(action, fact):
        case Conclusion() as conclusion:
            finish(step, conclusion.state, conclusion.because, external=conclusion.external)
        case Executed(because):
            executed(step, because)
        case None if action.state is ActionState.ACKED:
            follow(step)
    return None


def seen_before_sending(step: Step, fact: EngineSeen) -> None:
    """Nothing was sent yet: whatever happens to the engine now is not our doing, and the plan does not fit it."""
    action = step.action
    gone = fact.incarnation is None
    if gone and not action.dead:
        finish(step, ActionState.CANCELLED, "the engine went away before anything was done", cooldown=False)
    elif not gone and fact.incarnation != action.before:
        finish(step, ActionState.CANCELLED, f"it restarted by itself ({fact.incarnation})", external=True)


def overdue(step: Step) -> None:
    """No state of an action lasts for ever."""
    action = step.state.action
    if action is None:
        return
    waited, terms = step.now.boot - action.entered_at, action.terms
    match action.state:
        case ActionState.AWAITING_APPROVAL if action.approval is None or step.now.boot > action.approval.until:
            finish(step, ActionState.CANCELLED, "nobody approved it in time")
        case ActionState.PLANNED | ActionState.RESERVING if waited > RESERVE_SECONDS:
            finish(step, ActionState.CANCELLED, f"the fleet did not answer within {RESERVE_SECONDS:.0f} s")
        case ActionState.RESERVED | ActionState.INTENT | ActionState.HOLDING if waited > terms.execute_seconds:
            finish(step, ActionState.CANCELLED, f"the traffic was not held within {terms.execute_seconds:.0f} s")
        case ActionState.COLLECTING if waited > COLLECT_SECONDS:
            send(step, f"the evidence was not saved within {COLLECT_SECONDS:.0f} s")
        case ActionState.DISPATCHED if waited > terms.execute_seconds:
            reconcile(step, f"no reply within {terms.execute_seconds:.0f} s")
        case ActionState.RECONCILE if waited > terms.execute_seconds:
            finish(
                step,
                ActionState.AMBIGUOUS,
                f"nobody could say within {terms.execute_seconds:.0f} s whether it happened; it is not sent again",
            )
        case ActionState.ACKED if waited > terms.ready_seconds:
            conclusion = remedy_of(action.verb).proof.never_ready(action)
            finish(step, conclusion.state, conclusion.because)
        case ActionState.VERIFYING if waited > terms.verify_seconds:
            if action.breaches:
                finish(step, ActionState.INEFFECTIVE, f"still breaching after {terms.verify_seconds:.0f} s")
            else:
                finish(
                    step, ActionState.INCONCLUSIVE, f"no readings to judge it by within {terms.verify_seconds:.0f} s"
                )
