"""The new incarnation: seen, serving, and made to prove it with a canary before any traffic reaches it.

An acknowledgement proves nothing. Only a canary that began after the new incarnation was first seen, and was served,
releases the traffic; what the readings say of it is then verification's business.
"""

from __future__ import annotations

from watchtower.remediation.events import Release, SendCanary
from watchtower.remediation.step import Step
from watchtower.vocabulary.actions import ActionState
from watchtower.vocabulary.facts import CanaryEnded, CanaryOutcome
from watchtower.vocabulary.incidents import IncidentState


def executed(step: Step, because: str) -> None:
    """It was carried out, as far as anybody says; proof comes from the new incarnation."""
    step.advance(ActionState.ACKED, because)
    follow(step)


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
