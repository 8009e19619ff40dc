"""After the cure: is it proven, and does it last?

EFFECTIVE needs three independent proofs: another incarnation (of a rollback: the blessed weights read back from
memory), a canary it served, and every symptom back inside its limit in readings that rest on nothing older than that,
not earlier than the stabilization time. UNKNOWN proves nothing either way; at the deadline it counts as a failure.
"""

from __future__ import annotations

from watchtower.remediation.conclusion import cool_down, finish, settle
from watchtower.remediation.incident import came_back, escalate, hold, recover, resolve, serious
from watchtower.remediation.proposal import reaches_back_to
from watchtower.remediation.remedies import remedy_of
from watchtower.remediation.state import ByPerson
from watchtower.remediation.step import Step
from watchtower.vocabulary.actions import ActionState
from watchtower.vocabulary.incidents import HoldReason, IncidentState, NoticeKind, Refusal
from watchtower.vocabulary.quantities import human, seconds
from watchtower.vocabulary.readings import RuleVerdict, Unit, Verdict


def fires(verdict: RuleVerdict) -> bool:
    return verdict.firing and verdict.verdict is Verdict.BREACH


def verify(step: Step, verdicts: tuple[RuleVerdict, ...]) -> None:
    """One evaluation while VERIFYING."""
    action, now = step.action, step.now
    if action.settling_from is None or action.after_seen_at is None:
        return
    if now.boot - action.settling_from < action.terms.stabilization_seconds:
        return
    usable = [
        verdict
        for verdict in verdicts
        if verdict.rule in action.symptoms and reaches_back_to(verdict, step.state.clean_since) >= action.after_seen_at
    ]
    if any(verdict.verdict is Verdict.BREACH for verdict in usable):
        breaches = step.revise(breaches=action.breaches + 1).breaches
        if breaches >= action.terms.dwell_evaluations:
            still = next(verdict for verdict in usable if verdict.verdict is Verdict.BREACH)
            finish(step, ActionState.INEFFECTIVE, f"still so afterwards: {still.sentence or still.rule}")
        return
    if action.breaches:
        step.revise(breaches=0)
    well = {verdict.rule: verdict for verdict in usable if verdict.verdict is Verdict.OK}
    if action.digest and action.read_back_at is None:
        return  # the weights were not read back yet
    if step.state.engine.known and all(rule in well for rule in action.symptoms):
        effective(step, [well[rule] for rule in action.symptoms])


def effective(step: Step, well: list[RuleVerdict]) -> None:
    """Proven. The proof is kept in words."""
    action = step.action
    proven_by = remedy_of(action.verb).proof
    *seen, who = proven_by.evidence(action)
    proof = (
        *seen,
        f"{who} served a canary in {action.canary_seconds or 0.0:.2f} s",
        *filter(None, ["; ".join(back_inside(verdict) for verdict in well)]),
    )
    step.advance(
        ActionState.EFFECTIVE,
        f"proven by {proven_by.name}, canary and readings",
        verified_by=proof,
        ended_at=step.now.boot,
        ended_wall=step.now.wall,
    )
    cool_down(step)
    settle(step)
    parts = (*proof[-1:], *proof[:-1])  # people want to know first that it is well again
    worked = f"{action.verb} worked: {', '.join(parts)}."
    if isinstance(action.origin, ByPerson):
        return step.report_order(NoticeKind.RESULT, f"what {action.origin.name} ordered is done · {worked}")
    step.tell(NoticeKind.RESULT, f"{step.incident.title} · {worked}")
    recover(step, f"{action.verb} was effective", proven=True)
    return None


def back_inside(verdict: RuleVerdict) -> str:
    """The reading against its limit, in the rule's own unit."""
    if verdict.value is None or verdict.limit is None:
        return f"{verdict.rule} reads ok again"
    unit = Unit(verdict.unit) if verdict.unit in set(Unit) else Unit.COUNT
    value = human(verdict.value, unit, beside=verdict.limit)
    return f"{verdict.rule} is back inside its limit: {value} against {human(verdict.limit, unit)}"


def soak(step: Step, verdicts: tuple[RuleVerdict, ...]) -> None:
    """One evaluation while RECOVERING."""
    incident, now, limits = step.incident, step.now, step.limits
    own = [verdict for verdict in verdicts if verdict.rule in incident.rules]
    returned = [
        verdict
        for verdict in verdicts
        if serious(verdict) and fires(verdict) and step.state.streaks.get(verdict.rule, 0) >= limits.dwell_evaluations
    ]
    if returned:
        return came_back(step, returned[0].sentence or f"{returned[0].rule} fires")
    if not incident.proven and len(own) == len(incident.rules) and all(v.verdict is Verdict.OK for v in own):
        incident = step.amend(proven=True)
    if now.boot - incident.entered_at < limits.soak_seconds:
        return None
    troubled = any(serious(verdict) and verdict.verdict is Verdict.BREACH for verdict in own)
    if incident.proven and not troubled and any(map(fires, own)):
        mild = next(verdict for verdict in own if fires(verdict))
        return hold(step, (Refusal(HoldReason.NO_CURE, f"{mild.rule} still fires, and only alerts"),))
    if incident.proven and not troubled:
        return resolve(step, f"{incident.why}, and it stayed well for {seconds(limits.soak_seconds)}")
    return None


def overdue(step: Step) -> None:
    """RECOVERING does not last for ever either."""
    incident, limits = step.state.incident, step.limits
    if incident is None or incident.state is not IncidentState.RECOVERING:
        return
    longest = limits.soak_seconds + limits.hold_deadline_seconds
    if step.now.boot - incident.entered_at > longest:
        escalate(step, f"{incident.why}, but nothing proved it well within {longest:.0f} s")
