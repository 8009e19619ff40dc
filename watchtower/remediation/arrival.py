"""What came of it: the new incarnation seen, or the blessed weights read back, and a canary served by them.

An acknowledgement proves nothing. Only a canary that began after that first sight, and was served, releases the
traffic; what the readings say is then verification's business. What has to be seen first, the remedy's proof knows.
"""

from __future__ import annotations

from watchtower.remediation.checkpoint_registry import short
from watchtower.remediation.conclusion import finish
from watchtower.remediation.interface import ReleaseTraffic
from watchtower.remediation.remedies import remedy_of
from watchtower.remediation.remedies.remedy import Conclusion, Proven
from watchtower.remediation.step import Step
from watchtower.vocabulary.actions import ActionState
from watchtower.vocabulary.facts import CanaryEnded, CanaryOutcome, CheckpointSeen
from watchtower.vocabulary.incidents import IncidentState


def executed(step: Step, because: str) -> None:
    """It was carried out, as far as anybody says; proof comes from the new incarnation."""
    step.advance(ActionState.ACKED, because)
    follow(step)


def follow(step: Step) -> None:
    """Acknowledged: wait for what proves it, and have that prove itself with a canary."""
    remedy_of(step.action.verb).proof.follow(step)


def read_back(step: Step, fact: CheckpointSeen) -> None:
    """The weights were read while a cure is under way. Only an answer asked for after it was sent counts."""
    action = step.state.action
    if action is None or not action.digest or action.dispatched_at is None or fact.at < action.dispatched_at:
        return
    if action.state is ActionState.VERIFYING:
        still_read(step, fact)
        return
    match remedy_of(action.verb).proof.read(action, fact):
        case Conclusion() as conclusion:
            finish(step, conclusion.state, conclusion.because)
        case Proven(because):
            if action.state is ActionState.RECONCILE:
                executed(step, because)
            proven(step, fact)


def still_read(step: Step, fact: CheckpointSeen) -> None:
    """VERIFYING: the weights that were wanted are (still) in memory, or the cure did not do what it was to do."""
    action = step.action
    if not fact.observed or fact.at < (action.after_seen_at or 0.0):
        return
    if fact.observed == action.digest:
        step.revise(read_back_at=fact.at)
        return
    because = f"the weights in memory read {short(fact.observed)}, not the blessed {short(action.digest)}"
    finish(step, ActionState.INEFFECTIVE, because)


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
    who = remedy_of(action.verb).proof.who(action)
    step.advance(
        ActionState.VERIFYING,
        f"{who} served a canary in {fact.seconds:.2f} s",
        canary_seconds=fact.seconds,
        settling_from=step.now.boot,
        breaches=0,
    )
    step.want(ReleaseTraffic(action.op_id))
    if action.incident:
        step.move(IncidentState.VERIFYING, f"{who} serves; waiting for readings that prove the cure")
