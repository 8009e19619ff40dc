"""The moves of an incident. Each is recorded, each has its sentence, and people hear of the ones that matter to them.

What makes an incident move is decided elsewhere (evaluation, action, recovery); this module only knows how. ESCALATED
is latched: nothing leaves it but the two commands of a person.
"""

from __future__ import annotations

import msgspec

from watchtower.remediation.gates import recent_cycles
from watchtower.remediation.proposal import absent_since
from watchtower.remediation.state import KEPT, Incident
from watchtower.remediation.step import Step, sentence_of
from watchtower.vocabulary.incidents import HoldReason, IncidentState, NoticeKind, Refusal
from watchtower.vocabulary.readings import RuleVerdict, Severity

TRANSIENT = frozenset(
    {HoldReason.STARTUP_GRACE, HoldReason.DATA_UNKNOWN, HoldReason.INCARNATION, HoldReason.LEASE, HoldReason.COOLDOWN}
)
"""Reasons that pass by themselves: nobody is told of them alone."""

_RANK = {Severity.INFO: 0, Severity.WARN: 1, Severity.PAGE: 2}


def curative(verdict: RuleVerdict) -> bool:
    """The rule asks for an action."""
    return verdict.cure.acts


def serious(verdict: RuleVerdict) -> bool:
    """It wakes people or asks for an action; anything else only alerts."""
    return curative(verdict) or verdict.severity is Severity.PAGE


def worst(verdicts: tuple[RuleVerdict, ...]) -> RuleVerdict:
    """The one to speak of: most severe, then asking for an action, then longest in breach."""
    return min(
        verdicts,
        key=lambda verdict: (
            -_RANK[verdict.severity],
            not curative(verdict),
            verdict.since if verdict.since is not None else float("inf"),
        ),
    )


def window_of(verdicts: tuple[RuleVerdict, ...]) -> float:
    """Longest window of these rules, seconds."""
    return max((reading.over for verdict in verdicts for reading in verdict.readings), default=60.0)


def symptom_text(step: Step, verdict: RuleVerdict) -> str:
    """What is wrong and since when: an engine is gone since it was gone, not since it was gone for too long."""
    began = absent_since(verdict) or verdict.since
    since = f" since {step.clock(began)}" if began is not None else ""
    return f"{verdict.sentence or verdict.rule}{since}."


def suspect(step: Step, breaching: tuple[RuleVerdict, ...]) -> None:
    """CLEAR → SUSPECT. Soon after an incident was resolved it is the same one that comes back."""
    lead, now = worst(breaching), step.now
    last = step.state.recent[0] if step.state.recent else None
    if last and last.closed_at is not None and now.boot - last.closed_at < step.limits.recurrence_seconds:
        incident = msgspec.structs.replace(
            last, rules=tuple(verdict.rule for verdict in breaching), curative=False, notified=(), ok_since=None, why=""
        )
    else:
        incident = Incident(
            id=_new_id(step),
            state=IncidentState.CLEAR,
            severity=str(lead.severity),
            title=lead.sentence or lead.rule,
            rules=tuple(verdict.rule for verdict in breaching),
            curative=False,
            opened_at=now.boot,
            opened_wall=now.wall,
            entered_at=now.boot,
            known_at=now.boot,
            window_seconds=window_of(breaching),
        )
    step.put(incident=incident)
    step.amend(known_at=now.boot, window_seconds=window_of(breaching))
    step.move(IncidentState.SUSPECT, lead.sentence or f"{lead.rule} breaches")


def _new_id(step: Step) -> str:
    taken = {incident.id for incident in step.state.recent}
    while (name := step.derive("inc", 6)) in taken:
        pass
    return name


def clear(step: Step, why: str) -> None:
    """SUSPECT → CLEAR: nothing was opened, nobody was told, nothing is kept."""
    step.move(IncidentState.CLEAR, why)
    step.put(incident=None)


def open_(step: Step, firing: tuple[RuleVerdict, ...]) -> None:
    """SUSPECT → OPEN: confirmed. People are told."""
    lead, incident = worst(firing), step.incident
    returned = incident.closed_at is not None
    step.put(recent=tuple(closed for closed in step.state.recent if closed.id != incident.id))
    step.move(
        IncidentState.OPEN,
        lead.sentence or f"{lead.rule} fires",
        severity=str(lead.severity),
        title=lead.sentence or lead.rule,
        rules=tuple(verdict.rule for verdict in firing),
        curative=any(map(curative, firing)),
        recurrences=incident.recurrences + returned,
        closed_at=None,
        closed_wall=None,
    )
    again = f"It is back: time {step.incident.recurrences + 1} of the same incident." if returned else ""
    nothing = "" if step.incident.curative else "Watchtower will do nothing: the rule only alerts."
    step.tell(NoticeKind.OPENED, " · ".join(filter(None, (symptom_text(step, lead), f"{again} {nothing}".strip()))))


def join(step: Step, firing: tuple[RuleVerdict, ...]) -> None:
    """Rules that fire for the first time become symptoms; if that makes it worse, or lets something be done although
    people were told that nothing will be, they are told so."""
    incident = step.incident
    new = tuple(verdict for verdict in firing if verdict.rule not in incident.rules)
    if not new:
        return
    lead = worst(new)
    worse = _RANK[lead.severity] > _RANK[Severity(incident.severity)]
    treatable = curative(lead) and not incident.curative
    step.amend(
        rules=(*incident.rules, *(verdict.rule for verdict in new)),
        curative=incident.curative or any(map(curative, new)),
        window_seconds=max(incident.window_seconds, window_of(new)),
        **({"severity": str(lead.severity), "title": lead.sentence or lead.rule} if worse or treatable else {}),
    )
    step.record("incident.symptom", incident=incident.id, rules=[verdict.rule for verdict in new], worse=worse)
    if worse or treatable:
        step.tell(NoticeKind.OPENED, symptom_text(step, lead) + (" · The incident got worse." if worse else ""))


def hold(step: Step, refusals: tuple[Refusal, ...]) -> None:
    """→ HELD, or still HELD. Recorded when the set of reasons changes; told once, when it is more than a moment."""
    incident = step.incident
    if incident.state is not IncidentState.HELD:
        step.move(
            IncidentState.HELD,
            sentence_of(refusals),
            held=refusals,
            held_since=step.now.boot,
            held_evaluations=1,
        )
    else:
        changed = {refusal.gate for refusal in refusals} != {refusal.gate for refusal in incident.held}
        step.amend(held=refusals, why=sentence_of(refusals), held_evaluations=incident.held_evaluations + 1)
        if changed:
            step.move(IncidentState.HELD, sentence_of(refusals))
    incident = step.incident
    lasting = incident.curative and any(refusal.gate not in TRANSIENT for refusal in refusals)
    if lasting and incident.held_evaluations > step.limits.dwell_evaluations and step.once("held"):
        wanted = any(refusal.gate is HoldReason.APPROVAL for refusal in refusals)
        lead = "Approval wanted" if wanted else "Nothing is done"
        step.tell(NoticeKind.HELD, f"{incident.title} · {lead}: {sentence_of(refusals)}.")


def escalate(step: Step, why: str) -> None:
    """→ ESCALATED: a person is needed, and only a person can release it."""
    step.move(IncidentState.ESCALATED, why, severity=str(Severity.PAGE))
    step.tell(
        NoticeKind.ESCALATED,
        f"{step.incident.title} · A person is needed: {why}.",
        release=f"watchtower ack {step.incident.id} --resume --reason '…' # or --resolve",
    )


def recover(step: Step, why: str, *, proven: bool = False, tell: bool = False) -> None:
    """→ RECOVERING: watched until the soak is over. ``proven``: its rules were seen to be OK."""
    step.move(IncidentState.RECOVERING, why, proven=proven, ok_since=None)
    if tell:
        step.tell(
            NoticeKind.RECOVERING, f"{step.incident.title} · {why}; watching for {step.limits.soak_seconds:.0f} s."
        )


def came_back(step: Step, why: str) -> None:
    """RECOVERING → OPEN: same incident, attempts kept. Too often is flapping, and a person's business."""
    step.put(cycles=(*step.state.cycles, step.now.boot))
    step.move(IncidentState.OPEN, why, recurrences=step.incident.recurrences + 1, ok_since=None)
    step.tell(NoticeKind.OPENED, f"{step.incident.title} · It came back while being watched: {why}.")
    if recent_cycles(step.state, step.now) >= step.limits.flap_cycles:
        escalate(step, f"it came and went {recent_cycles(step.state, step.now)} times in 6 h")


def resolve(step: Step, why: str) -> None:
    """→ RESOLVED: closed, told, and remembered for when it comes back."""
    step.put(cycles=(*step.state.cycles, step.now.boot))
    incident = step.move(IncidentState.RESOLVED, why, closed_at=step.now.boot, closed_wall=step.now.wall)
    step.tell(NoticeKind.RESOLVED, f"{incident.title} · Resolved: {why}.")
    step.put(recent=(incident, *step.state.recent)[:KEPT], incident=None)


def external_change(step: Step, why: str) -> None:
    """The engine restarted and it was not us: a cooldown, and nothing to cure until new evidence shows it."""
    step.put(cooldown_from=step.now.boot, cooldown_seconds=step.limits.cooldown_seconds)
    incident = step.state.incident
    if incident is None:
        return
    match incident.state:
        case IncidentState.SUSPECT:
            clear(step, why)
        case IncidentState.RECOVERING:
            came_back(step, why)
            if step.incident.state is IncidentState.OPEN:
                recover(step, why)
        case IncidentState.ESCALATED:
            step.record("incident.note", incident=incident.id, note=why)
        case _:
            recover(step, why, tell=True)
