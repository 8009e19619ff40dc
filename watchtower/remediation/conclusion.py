"""How a cure ends when it was not proven effective, and what that leaves behind.

Whatever the outcome, the traffic is released and the attempt is remembered: for the cooldown, the breaker and the
ladder. The budget is given back only for outcomes that mean "it never happened". Where the remedy names a verb that
makes up for it, that is done once; what is not tried twice goes to a person. A person's order has no incident to move:
its outcome is reported to people, and nothing else follows from it.
"""

from __future__ import annotations

import msgspec

from watchtower.remediation.compensation import compensate, impossible
from watchtower.remediation.gates import cooldown_length, failures
from watchtower.remediation.incident import escalate, external_change, hold
from watchtower.remediation.interface import ReleaseTraffic, Settle
from watchtower.remediation.ladder import FAILED, UNDONE, next_rung
from watchtower.remediation.proposal import tried
from watchtower.remediation.remedies import remedy_of
from watchtower.remediation.state import Action, ByPerson
from watchtower.remediation.step import Step
from watchtower.vocabulary.actions import ActionState
from watchtower.vocabulary.incidents import HoldReason, NoticeKind, Refusal


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
    made_up_for = state is ActionState.HARMFUL and not (cannot := impossible(step, action))
    if not made_up_for:
        step.want(ReleaseTraffic(action.op_id))
    if cooldown:
        cool_down(step)
    settle(step)
    if state in FAILED:
        trip_breaker(step)
    result = f"{action.verb} (attempt {action.attempt}) is {state}: {because}"
    if isinstance(action.origin, ByPerson):
        step.report_order(NoticeKind.RESULT, f"what {action.origin.name} ordered did not work · {result}.")
        if external:
            external_change(step, result)
    elif external:
        external_change(step, result)
    elif made_up_for:
        compensate(step, action, result)
    elif state is ActionState.HARMFUL:
        escalate(step, f"{result}; it cannot be made up for by a restart: {cannot}")
    elif state is ActionState.AMBIGUOUS or action.compensates:
        escalate(step, result)
    elif remedy_of(action.verb).tried_once and not refund:
        escalate(step, f"{result}; a {action.verb} is not tried twice")
    elif exhausted(step, action):
        escalate(step, f"{result}; no attempt is left")
    else:
        hold(step, (Refusal(HoldReason.COOLDOWN if cooldown else HoldReason.DATA_UNKNOWN, result),))
        step.tell(NoticeKind.RESULT, f"{step.incident.title} · {result}.")


def settle(step: Step) -> None:
    """The fleet learns what became of its reservation; by op_id, so that it may learn it twice."""
    if step.action.fleet_asked:
        step.want(Settle(step.action.op_id, spent=step.action.charged))


def exhausted(step: Step, action: Action) -> bool:
    """No further attempt is allowed in this incident."""
    used = tried(step.state, step.incident)
    cure = remedy_of(action.verb).cure
    if cure is None:
        return True
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
