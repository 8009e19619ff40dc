"""The one thing that makes up for a rollback gone wrong: a restart that starts with the blessed checkpoint.

Done at most once an incident, never for anything but a rollback, and never made up for in turn. It is a restart like
any other (budget, intent, fence, canary), and it must besides show the blessed weights in memory, because a start that
loads something else would look just as healthy.
"""

from __future__ import annotations

from watchtower.remediation.gates import mode_of, over_budget
from watchtower.remediation.interface import HoldTraffic
from watchtower.remediation.state import Action
from watchtower.remediation.step import Step
from watchtower.remediation.terms import terms_of
from watchtower.vocabulary.actions import ActionState, Mode, Verb
from watchtower.vocabulary.incidents import IncidentState, NoticeKind

MAKES_UP = Verb.RESTART_GROUP


def impossible(step: Step, rollback: Action) -> str:
    """Why it cannot be made up for; "" when it can."""
    state, limits, known = step.state, step.limits, step.state.checkpoints
    if rollback.verb is not Verb.ROLLBACK:
        return f"a {rollback.verb} has no inverse"
    if MAKES_UP not in step.capabilities.verbs:
        return f"the supervisor cannot do {MAKES_UP}"
    if any(action.compensates and action.incident == rollback.incident for action in state.actions):
        return "that was tried once in this incident already"
    if known.declared != rollback.checkpoint:
        return f"a start loads {known.declared or 'nobody knows what'}, the blessed checkpoint is {rollback.checkpoint}"
    if state.storage_fault or not state.lease_held:
        return state.storage_fault or "the lease on this target was lost"
    if mode_of(limits, rollback.rule, MAKES_UP) is not Mode.AUTO:
        return f"{MAKES_UP} is not auto for {rollback.rule}"
    refusal = over_budget(state, step.now, limits, MAKES_UP)
    return refusal.because if refusal else ""


def compensate(step: Step, rollback: Action, because: str) -> None:
    """The traffic is held, or held again; then one restart. The caller has asked ``impossible``."""
    now, engine = step.now, step.state.engine
    op_id = step.derive("op", 12)
    action = Action(
        op_id=op_id,
        incident=rollback.incident,
        rule=rollback.rule,
        symptoms=rollback.symptoms,
        verb=MAKES_UP,
        attempt=1,
        state=ActionState.RESERVED,
        reason=f"{rollback.incident}: makes up for {rollback.op_id}",
        drain=False,
        before=engine.incarnation or rollback.before,
        dead=not engine.running,
        fence_token=step.state.fence_token,
        not_after=now.boot + 2 * step.limits.execute_seconds,
        terms=terms_of(step.limits, MAKES_UP),
        checkpoint=rollback.checkpoint,
        digest=rollback.digest,
        digest_before=rollback.digest_before,
        compensates=rollback.op_id,
        charged=True,
        started_at=now.boot,
        started_wall=now.wall,
        entered_at=now.boot,
    )
    step.put(actions=(*step.state.actions, action))
    step.amend(actions=(*step.incident.actions, op_id))
    step.advance(ActionState.RESERVED, because)
    step.advance(ActionState.INTENT, action.reason, detail={"compensates": rollback.op_id})
    step.move(IncidentState.ACTING, f"{MAKES_UP} with the blessed checkpoint, because {because}")
    step.tell(
        NoticeKind.ACTING,
        f"{step.incident.title} · {because}. Watchtower restarts the engine with the blessed checkpoint, once.",
    )
    step.want(HoldTraffic(op_id, False))
