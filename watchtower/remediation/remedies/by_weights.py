"""Proof of a verb that leaves the process as it is: the blessed checksum, read back from the same process's memory."""

from __future__ import annotations

from watchtower.remediation.checkpoint_registry import short
from watchtower.remediation.interface import SendCanary
from watchtower.remediation.remedies.by_incarnation import weights_read
from watchtower.remediation.remedies.remedy import Conclusion, Executed, Proven
from watchtower.remediation.state import Action
from watchtower.remediation.step import Step
from watchtower.vocabulary.actions import ActionState
from watchtower.vocabulary.facts import CheckpointSeen, EngineSeen


class ProofByWeights:
    """Done to one process; without that process there is nothing left of it."""

    name = "weights"
    reads_from = frozenset({ActionState.ACKED, ActionState.VERIFYING, ActionState.RECONCILE})

    def follow(self, step: Step) -> None:
        action = step.action
        if action.after and step.state.engine.serving:
            step.want(SendCanary(f"first proof of {short(action.digest)} after {action.op_id}"))

    def seen(self, action: Action, fact: EngineSeen) -> Conclusion | Executed | None:
        if fact.incarnation is None:
            return Conclusion(ActionState.HARMFUL, f"the engine is gone ({fact.how})")
        if fact.incarnation != action.before:
            because = f"the engine was restarted in the middle of it, not by Watchtower ({fact.incarnation})"
            return Conclusion(ActionState.INCONCLUSIVE, because, external=True)
        return None

    def read(self, action: Action, fact: CheckpointSeen) -> Conclusion | Proven | None:
        blessed = fact.observed == action.digest
        proven = Proven(f"the weights in memory read {short(fact.observed)}, as they should")
        match action.state:
            case ActionState.RECONCILE if blessed:
                return proven
            case ActionState.ACKED if fact.observed and fact.at >= action.entered_at:
                return proven if blessed else Conclusion(ActionState.HARMFUL, other_weights(action, fact))
        return None

    def never_ready(self, action: Action) -> Conclusion:
        what = "no canary was served" if action.after else "the weights could not be read back"
        return Conclusion(ActionState.HARMFUL, f"{what} within {action.terms.ready_seconds:.0f} s after the reload")

    def who(self, action: Action) -> str:
        return f"the blessed checkpoint {short(action.digest)}"

    def evidence(self, action: Action) -> tuple[str, ...]:
        return (*weights_read(action), short(action.digest))


def other_weights(action: Action, fact: CheckpointSeen) -> str:
    return f"the weights in memory read {short(fact.observed)}, not the blessed {short(action.digest)}"
