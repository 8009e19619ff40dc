"""What came of it: the new incarnation seen, or the blessed weights read back, and a canary served by them.

An acknowledgement proves nothing. Only a canary that began after that first sight, and was served, releases the
traffic; what the readings say is then verification's business. A rollback leaves the incarnation as it is: there the
checksum of the weights in memory is what is seen.
"""

from __future__ import annotations

from watchtower.remediation.checkpoint_registry import short
from watchtower.remediation.conclusion import finish
from watchtower.remediation.interface import ReleaseTraffic, SendCanary
from watchtower.remediation.step import Step
from watchtower.vocabulary.actions import ActionState, Verb
from watchtower.vocabulary.facts import CanaryEnded, CanaryOutcome, CheckpointSeen
from watchtower.vocabulary.incidents import IncidentState


def executed(step: Step, because: str) -> None:
    """It was carried out, as far as anybody says; proof comes from the new incarnation."""
    step.advance(ActionState.ACKED, because)
    follow(step)


def follow(step: Step) -> None:
    """Acknowledged: wait for another incarnation that says it serves, and have it prove that with a canary. (For a
    rollback: wait for the weights.)"""
    action, engine = step.action, step.state.engine
    if action.verb is Verb.ROLLBACK:
        if action.after and engine.serving:
            step.want(SendCanary(f"first proof of {short(action.digest)} after {action.op_id}"))
        return
    new = engine.incarnation if engine.known and engine.running and engine.incarnation != action.before else None
    if new != action.after and (engine.known or action.after is None):
        step.revise(after=new, after_seen_at=engine.looked_at if new else None)
    if new and engine.serving:
        step.want(SendCanary(f"first proof of {new} after {action.op_id}"))


def read_back(step: Step, fact: CheckpointSeen) -> None:
    """The weights were read while a cure is under way. Only an answer asked for after it was sent counts."""
    action = step.state.action
    if action is None or not action.digest or action.dispatched_at is None or fact.at < action.dispatched_at:
        return None
    blessed = fact.observed == action.digest
    match action.state:
        case ActionState.RECONCILE if action.verb is Verb.ROLLBACK and blessed:
            executed(step, f"the weights in memory read {short(fact.observed)}, as they should")
            proven(step, fact)
        case ActionState.ACKED if action.verb is Verb.ROLLBACK and fact.observed and fact.at >= action.entered_at:
            if not blessed:
                because = f"the weights in memory read {short(fact.observed)}, not the blessed {short(action.digest)}"
                return finish(step, ActionState.HARMFUL, because)
            proven(step, fact)
        case ActionState.VERIFYING if fact.observed and fact.at >= (action.after_seen_at or 0.0):
            if blessed:
                step.revise(read_back_at=fact.at)
                return None
            because = f"the weights in memory read {short(fact.observed)}, not the blessed {short(action.digest)}"
            finish(step, ActionState.INEFFECTIVE, because)
    return None


def proven(step: Step, fact: CheckpointSeen) -> None:
    """The blessed weights are in memory, of the same process as before; now they have to serve."""
    step.revise(after=step.action.before, after_seen_at=fact.at, read_back_at=fact.at)
    follow(step)


def canaried(step: Step, fact: CanaryEnded) -> None:
    """A served canary that began after the new incarnation was first seen: traffic may flow again."""
    action = step.state.action
    if action is None or action.state is not ActionState.ACKED or action.after_seen_at is None:
        return
    if fact.outcome is not CanaryOutcome.SERVED or fact.started_at < action.after_seen_at:
        return
    who = f"the blessed checkpoint {short(action.digest)}" if action.verb is Verb.ROLLBACK else str(action.after)
    step.advance(
        ActionState.VERIFYING,
        f"{who} served a canary in {fact.seconds:.2f} s",
        canary_seconds=fact.seconds,
        settling_from=step.now.boot,
        breaches=0,
    )
    step.want(ReleaseTraffic(action.op_id))
    step.move(IncidentState.VERIFYING, f"{who} serves; waiting for readings that prove the cure")
