"""The last look before an intent is written and before the plan is sent: does it still fit the world?

The gates permitted it a moment ago; the drain, an approval or the fleet took time since. One check is one function in
``FITNESS``; each answers why the plan may no longer be sent, or "". A person's order passes through the same checks.
"""

from __future__ import annotations

from collections.abc import Callable

from watchtower.remediation.step import Step

Check = Callable[[Step], str]


def engine_known(step: Step) -> str:
    engine = step.state.engine
    return "" if engine.known else f"the engine can no longer be identified: {engine.because}"


def same_incarnation(step: Step) -> str:
    """Never another incarnation than the one it was decided for."""
    before, now = step.action.before, step.state.engine.incarnation
    if now == before:
        return ""
    return f"{before} does not run any more" if before else f"{now} runs after all"


def alive_or_dead_as_before(step: Step) -> str:
    """What was to be replaced because it is dead must not run, and the other way round."""
    action, running = step.action, step.state.engine.running
    if running is not action.dead:
        return ""
    return f"{action.before} runs after all" if action.dead else f"{action.before} does not run any more"


def journal_sound(step: Step) -> str:
    fault = step.state.storage_fault
    return f"the journal cannot be relied on: {fault}" if fault else ""


def lease_kept(step: Step) -> str:
    """Held without a break since it was decided: under another token somebody else may have acted meanwhile."""
    lease = step.state.lease
    if lease is None or not lease.good_at(step.now.boot):
        return "the lease on this target was lost"
    return "" if lease.token == step.action.lease_token else "the lease on this target is another one by now"


def not_fenced_off(step: Step) -> str:
    return "a newer decision has fenced it off" if step.action.fence_token < step.state.fence_token else ""


def in_time(step: Step) -> str:
    return "it is too late: the plan has expired" if step.now.boot > step.action.not_after else ""


FITNESS: tuple[Check, ...] = (
    engine_known,
    same_incarnation,
    alive_or_dead_as_before,
    journal_sound,
    lease_kept,
    not_fenced_off,
    in_time,
)


def unfit(step: Step) -> str:
    """Why the plan may no longer be sent; "" when it may."""
    return next((because for check in FITNESS if (because := check(step))), "")
