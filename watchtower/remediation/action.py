"""One cure under way, from the intent to the reply.

RESERVED and INTENT are recorded in the step that first asks for anything outside, so no effect can exist without them.
``Dispatch`` is asked for in exactly one place and once per op_id; an unclear outcome is never answered by sending
again. Every state has a deadline in ``overdue``; every way out that is no proof goes through ``conclusion.finish``.
"""

from __future__ import annotations

import msgspec

from watchtower.remediation.arrival import executed, follow
from watchtower.remediation.conclusion import finish
from watchtower.remediation.gates import Judgement
from watchtower.remediation.interface import Dispatch, Drained, ExecuteReplied, HoldTraffic
from watchtower.remediation.reconciliation import reconcile
from watchtower.remediation.remedies import remedy_of
from watchtower.remediation.remedies.remedy import Conclusion, Executed
from watchtower.remediation.state import Action
from watchtower.remediation.step import Step
from watchtower.vocabulary.actions import ActionState, Plan, ReplyKind
from watchtower.vocabulary.facts import EngineSeen
from watchtower.vocabulary.incidents import IncidentState, NoticeKind


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
        checkpoint=action.checkpoint if action.verb.loads_weights else "",
        digest=action.digest if action.verb.loads_weights else "",
    )


def begin(step: Step, judgement: Judgement, symptoms: tuple[str, ...], *, drain: bool) -> None:
    """Every gate said yes: charge the budget, write the intent, and only then ask for the traffic to be held."""
    proposal, limits, now = judgement.proposal, step.limits, step.now
    before, dead = step.state.engine.incarnation, not step.state.engine.running
    if before is None:
        raise LookupError("an action needs an incarnation to act on")
    op_id = step.derive("op", 12)
    remedy = remedy_of(proposal.verb)
    aim = remedy.aim(step.state.checkpoints)
    action = Action(
        op_id=op_id,
        incident=step.incident.id,
        rule=proposal.verdict.rule,
        symptoms=symptoms,
        verb=proposal.verb,
        attempt=proposal.rung.attempt,
        state=ActionState.RESERVED,
        reason=f"{step.incident.id}: {proposal.verdict.sentence or proposal.verdict.rule}",
        drain=drain,
        before=before,
        dead=dead,
        fence_token=step.state.fence_token,
        not_after=now.boot + 2 * limits.execute_seconds,
        terms=remedy.terms(limits),
        checkpoint=aim.checkpoint,
        digest=aim.digest,
        digest_before=aim.digest_before,
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
    whom = (f"in place of {before}, which is gone" if dead else f"on {before}") + aim.words
    step.tell(
        NoticeKind.ACTING,
        f"{step.incident.title} · Watchtower does {action.verb} (attempt {action.attempt}) {whom}; "
        f"{'open requests finish first, new ones wait' if drain else 'new requests wait'}.",
    )
    step.want(HoldTraffic(op_id, drain))


def drained(step: Step, event: Drained) -> None:
    """The traffic is held. Look once more, then send: the only place that does."""
    if not step.awaited(event.op_id, ActionState.INTENT):
        return step.ignore("drained", event.op_id)
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
    if state.engine.incarnation != action.before or state.engine.running is action.dead:
        return f"{action.before} runs after all" if action.dead else f"{action.before} does not run any more"
    if state.storage_fault:
        return f"the journal cannot be relied on: {state.storage_fault}"
    if not state.lease_held:
        return "the lease on this target was lost"
    if action.fence_token < state.fence_token:
        return "a newer decision has fenced it off"
    if step.now.boot > action.not_after:
        return "it is too late: the plan has expired"
    return ""


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
    if action.state in (ActionState.RESERVED, ActionState.INTENT):
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
            conclusion = remedy_of(action.verb).proof.never_ready(action)
            finish(step, conclusion.state, conclusion.because)
        case ActionState.VERIFYING if waited > terms.verify_seconds:
            if action.breaches:
                finish(step, ActionState.INEFFECTIVE, f"still breaching after {terms.verify_seconds:.0f} s")
            else:
                finish(
                    step, ActionState.INCONCLUSIVE, f"no readings to judge it by within {terms.verify_seconds:.0f} s"
                )
