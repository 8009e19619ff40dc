"""What makes up for a cure gone wrong, where its remedy names such a verb: a start with the blessed checkpoint.

Done at most once an incident and never made up for in turn. It is a restart like
any other (budget, intent, fence, canary), and it must besides show the blessed weights in memory, because a start that
loads something else would look just as healthy.
"""

from __future__ import annotations

from watchtower.remediation.departure import Announcement, depart, new_action
from watchtower.remediation.gates import over_budget
from watchtower.remediation.proposal import mode_of
from watchtower.remediation.remedies import remedy_of
from watchtower.remediation.state import Action
from watchtower.remediation.step import Step
from watchtower.vocabulary.actions import Mode


def impossible(step: Step, failed: Action) -> str:
    """Why it cannot be made up for; "" when it can."""
    state, limits, known = step.state, step.limits, step.state.checkpoints
    verb = remedy_of(failed.verb).made_up_for_by
    if verb is None:
        return f"a {failed.verb} has no inverse"
    if verb not in step.capabilities.verbs:
        return f"the supervisor cannot do {verb}"
    if any(action.compensates and action.incident == failed.incident for action in state.actions):
        return "that was tried once in this incident already"
    if known.declared != failed.checkpoint:
        return f"a start loads {known.declared or 'nobody knows what'}, the blessed checkpoint is {failed.checkpoint}"
    if state.storage_fault or not state.holds_lease(step.now.boot):
        return state.storage_fault or "the lease on this target was lost"
    if mode_of(limits, failed.rule, verb) is not Mode.AUTO:
        return f"{verb} is not auto for {failed.rule}"
    refusal = over_budget(state, step.now, limits, verb)
    return refusal.because if refusal else ""


def compensate(step: Step, failed: Action, because: str) -> None:
    """The traffic is held, or held again; then one restart. The caller has asked ``impossible``."""
    verb = remedy_of(failed.verb).made_up_for_by
    if verb is None:
        raise LookupError(f"nothing makes up for a {failed.verb}")
    engine = step.state.engine
    action = new_action(
        step,
        verb,
        engine.incarnation or failed.before,
        incident=failed.incident,
        origin=failed.origin,
        symptoms=failed.symptoms,
        reason=f"{failed.incident}: makes up for {failed.op_id}",
        drain=False,
        checkpoint=failed.checkpoint,
        digest=failed.digest,
        digest_before=failed.digest_before,
        compensates=failed.op_id,
    )
    words = Announcement(
        f"{verb} with the blessed checkpoint, because {because}",
        f"{step.incident.title} · {because}. Watchtower restarts the engine with the blessed checkpoint, once.",
    )
    depart(step, action, words, because=because, detail={})
