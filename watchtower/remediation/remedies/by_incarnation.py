"""Proof of a verb that replaces the process: another incarnation, which says that it serves."""

from __future__ import annotations

from watchtower.remediation.checkpoint_registry import short
from watchtower.remediation.interface import SendCanary
from watchtower.remediation.remedies.remedy import Conclusion, Executed, Proven
from watchtower.remediation.state import Action
from watchtower.remediation.step import Step
from watchtower.vocabulary.actions import ActionState
from watchtower.vocabulary.facts import CheckpointSeen, EngineSeen


class ProofByIncarnation:
    """``before`` is gone and another one serves. A digest, where one is named, must be read besides."""

    name = "incarnation"
    reads_from = frozenset({ActionState.ACKED, ActionState.VERIFYING})

    def follow(self, step: Step) -> None:
        action, engine = step.action, step.state.engine
        new = engine.incarnation if engine.known and engine.running and engine.incarnation != action.before else None
        if new != action.after and (engine.known or action.after is None):
            step.revise(after=new, after_seen_at=engine.looked_at if new else None)
        if new and engine.serving:
            step.want(SendCanary(f"first proof of {new} after {action.op_id}"))

    def seen(self, action: Action, fact: EngineSeen) -> Conclusion | Executed | None:
        newest = fact.incarnation or fact.ended
        match action.state:
            case ActionState.DISPATCHED | ActionState.RECONCILE if newest not in (None, action.before):
                return Executed(f"a new incarnation was started ({newest})")
            case ActionState.ACKED if fact.ended not in (None, action.before):
                return Conclusion(ActionState.INEFFECTIVE, f"the new incarnation {fact.ended} is gone: {fact.how}")
            case ActionState.VERIFYING if fact.incarnation is None:
                return Conclusion(ActionState.INEFFECTIVE, f"the new incarnation {action.after} is gone: {fact.how}")
            case ActionState.VERIFYING if fact.incarnation != action.after:
                because = f"the engine restarted again, not by Watchtower ({fact.incarnation})"
                return Conclusion(ActionState.INCONCLUSIVE, because, external=True)
        return None

    def read(self, action: Action, fact: CheckpointSeen) -> Conclusion | Proven | None:
        return None  # weights prove no restart; while VERIFYING they are looked at like anybody's

    def never_ready(self, action: Action) -> Conclusion:
        replaced = f"{action.before} was never replaced" if action.before else "no engine was started"
        what = f"{action.after} served no canary" if action.after else replaced
        return Conclusion(ActionState.INEFFECTIVE, f"{what} within {action.terms.ready_seconds:.0f} s")

    def who(self, action: Action) -> str:
        return str(action.after)

    def evidence(self, action: Action) -> tuple[str, ...]:
        before = f"changed from {action.before} to" if action.before else "is"
        changed = f"the incarnation {before} {action.after}"
        return (changed, *weights_read(action), f"{action.after}")


def weights_read(action: Action) -> tuple[str, ...]:
    """What reading the weights back has shown; nothing where the action named none."""
    if not action.digest:
        return ()
    before = f", before {short(action.digest_before)}" if action.digest_before else ""
    return (f"the checksum of the weights in memory is the blessed one again: {short(action.digest)}{before}",)
