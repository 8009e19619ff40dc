"""Nobody knows whether it happened: after an unclear reply, or when Watchtower itself was restarted in between.

Fence first, then ask: the other order lets a late message take effect after it was declared not done. The plan is
never sent again. It is given up as not executed only on a promise (``status`` of an adapter with durable memory, or
under a confirmed fence); where nobody can tell before the deadline, a person must.
"""

from __future__ import annotations

from typing import Any

from watchtower.remediation.arrival import executed
from watchtower.remediation.conclusion import finish
from watchtower.remediation.interface import AskStatus, Fenced, RaiseFence, ReleaseTraffic, StatusAnswered
from watchtower.remediation.step import Step
from watchtower.vocabulary.actions import BEFORE_INTENT, BEFORE_SENDING, ActionState, Answer

FRESH_STARTS = 3
"""So often a restart of Watchtower itself gives an action its deadline anew; then it runs on, whatever restarts."""


def reconcile(step: Step, because: str) -> None:
    """Nobody knows whether it happened. Fence first, so that a late message can do nothing; then ask."""
    step.put(fence_token=step.state.fence_token + 1)
    action = step.advance(ActionState.RECONCILE, because, fence_confirmed=False, ask_again=False)
    if step.capabilities.fence:
        step.want(RaiseFence(step.state.fence_token))
    else:
        step.want(AskStatus(action.op_id))


def fenced(step: Step, event: Fenced) -> None:
    action = step.state.action
    if action is None or action.state is not ActionState.RECONCILE or event.token != step.state.fence_token:
        return step.ignore(f"fence {event.token}", action.op_id if action else "")
    step.revise(fence_confirmed=action.fence_confirmed or event.confirmed)
    step.want(AskStatus(action.op_id))
    return None


def answered(step: Step, event: StatusAnswered) -> None:
    if not step.awaited(event.op_id, ActionState.RECONCILE):
        return step.ignore(f"status {event.answer}", event.op_id)
    match event.answer:
        case Answer.DONE:
            executed(step, "the supervisor says that it was done")
        case Answer.NOT_DONE if step.capabilities.idempotent_durable or step.action.fence_confirmed:
            finish(
                step,
                ActionState.NOT_EXECUTED,
                "the supervisor promises that it did not and will not happen",
                cooldown=step.action.restarts == 0,
            )
        case Answer.NOT_DONE:
            finish(
                step, ActionState.AMBIGUOUS, "the supervisor says not done, but could not rule out that it comes late"
            )
        case Answer.PENDING | Answer.CANNOT_TELL:
            step.revise(ask_again=True)
    return None


def ask_again(step: Step) -> None:
    """At each evaluation: an answer that settled nothing is asked for once more, until the deadline."""
    if step.action.state is ActionState.RECONCILE and step.action.ask_again:
        step.revise(ask_again=False)
        step.want(AskStatus(step.action.op_id))


def restarted(step: Step) -> None:
    """Watchtower came up and finds an action under way. What was sent is not known; what was proven stays proven."""
    action = step.action
    fresh: dict[str, Any] = {"entered_at": step.now.boot} if action.restarts < FRESH_STARTS else {}
    step.revise(restarts=action.restarts + 1, **fresh)
    match action.state:
        case state if state in BEFORE_INTENT:
            finish(step, ActionState.CANCELLED, "Watchtower restarted before anything was intended", cooldown=False)
        case state if state in BEFORE_SENDING or state in (ActionState.DISPATCHED, ActionState.RECONCILE):
            entered = step.action.entered_at
            reconcile(step, "Watchtower restarted in the middle of it")
            step.revise(entered_at=entered)
        case ActionState.VERIFYING:
            step.revise(settling_from=step.now.boot, breaches=0)
            step.want(ReleaseTraffic(action.op_id))
