"""What an evaluation of the rules means: suspicion, confirmation, the proposal to the gates, blindness.

UNKNOWN neither opens nor resolves anything. A rule counts as confirmed after ``dwell_evaluations`` evaluations in a
row in which it fired, all of one incarnation and none older than a start, a resume or a reset: ``streaks`` holds
exactly those.
"""

from __future__ import annotations

from watchtower.remediation import blessing, orders, recovery
from watchtower.remediation.departure import begin
from watchtower.remediation.gates import Judgement, judge
from watchtower.remediation.incident import (
    clear,
    curative,
    escalate,
    hold,
    join,
    open_,
    recover,
    serious,
    suspect,
)
from watchtower.remediation.interface import Evidence, SendCanary
from watchtower.remediation.ladder import next_rung
from watchtower.remediation.proposal import Proposal, mode_of, tried
from watchtower.remediation.reconciliation import ask_again
from watchtower.remediation.recovery import fires
from watchtower.remediation.remedies import ladder_of, turn_of
from watchtower.remediation.step import Step, gates_of, sentence_of
from watchtower.vocabulary.actions import Cure, Mode
from watchtower.vocabulary.incidents import HoldReason, IncidentState, NoticeKind, Refusal
from watchtower.vocabulary.readings import RuleVerdict, Severity, Verdict
from watchtower.vocabulary.sight import WatchState, loudest_of, traffic_unreadable, watch_state, watching

REMINDED_ONLY = frozenset({HoldReason.OBSERVE, HoldReason.PAUSED, HoldReason.NO_CURE, HoldReason.OTHER_CONTROLLER})
"""Somebody chose this: the hold deadline does not call a person, it reminds."""


def evaluate(step: Step, event: Evidence) -> None:
    """The machine's tick."""
    verdicts = event.verdicts
    streaks = {verdict.rule: step.state.streaks.get(verdict.rule, 0) + 1 for verdict in verdicts if fires(verdict)}
    step.put(streaks=streaks, lease=event.lease, clean_since=event.window_clean_since)
    watch_for_blindness(step, verdicts)
    directives = [
        verdict for verdict in verdicts if verdict.cure is Cure.CANARY_NOW and verdict.verdict is Verdict.BREACH
    ]
    symptoms = tuple(
        verdict for verdict in verdicts if verdict.cure is not Cure.CANARY_NOW and not orders.silences(step, verdict)
    )
    orders.watch(step, symptoms)
    if step.state.incident is None:
        begin_to_suspect(step, symptoms)
    incident = step.state.incident
    match incident.state if incident else IncidentState.CLEAR:
        case IncidentState.SUSPECT:
            weigh(step, symptoms)
        case IncidentState.OPEN | IncidentState.HELD:
            handle(step, symptoms)
        case IncidentState.ACTING:
            ask_again(step)
        case IncidentState.VERIFYING:
            recovery.verify(step, symptoms)
        case IncidentState.RECOVERING:
            recovery.soak(step, symptoms)
            if step.state.incident and step.incident.state is IncidentState.OPEN:
                handle(step, symptoms)
        case IncidentState.ESCALATED:
            annotate(step, symptoms)
    if directives and step.state.action is None:
        step.want(SendCanary(directives[0].sentence or directives[0].rule))


def confirmed(step: Step, verdicts: tuple[RuleVerdict, ...]) -> tuple[RuleVerdict, ...]:
    """Those that fire, and have fired long enough in a row."""
    needed = step.limits.dwell_evaluations
    return tuple(
        verdict for verdict in verdicts if fires(verdict) and step.state.streaks.get(verdict.rule, 0) >= needed
    )


def begin_to_suspect(step: Step, verdicts: tuple[RuleVerdict, ...]) -> None:
    breaching = tuple(
        verdict for verdict in verdicts if fires(verdict) or (serious(verdict) and verdict.verdict is Verdict.BREACH)
    )
    if breaching:
        suspect(step, breaching)


def weigh(step: Step, verdicts: tuple[RuleVerdict, ...]) -> None:
    """SUSPECT: confirmed, disproved, or no longer to be known."""
    firing = confirmed(step, verdicts)
    if firing:
        open_(step, firing)
        return handle(step, verdicts)
    incident, now = step.incident, step.now
    own = tuple(verdict for verdict in verdicts if verdict.rule in incident.rules)
    if any(verdict.verdict is not Verdict.UNKNOWN for verdict in own):
        incident = step.amend(known_at=now.boot)
    if well_for_long(step, verdicts):
        return clear(step, f"all its rules were ok for {step.limits.clear_dwell_seconds:.0f} s")
    if now.boot - incident.known_at > 2 * incident.window_seconds:
        return clear(step, f"evidence_expired: nothing could be read for {2 * incident.window_seconds:.0f} s")
    if now.boot - incident.entered_at > step.limits.hold_deadline_seconds:
        return clear(step, f"it was not confirmed within {step.limits.hold_deadline_seconds:.0f} s")
    return None


def well_for_long(step: Step, verdicts: tuple[RuleVerdict, ...]) -> bool:
    """Every rule of the incident was OK, without a break, for the clear dwell. UNKNOWN breaks it."""
    incident, now = step.incident, step.now
    well = {verdict.rule for verdict in verdicts if verdict.verdict is Verdict.OK}
    if not well.issuperset(incident.rules):
        step.amend(ok_since=None)
        return False
    since = incident.ok_since if incident.ok_since is not None else now.boot
    step.amend(ok_since=since)
    return now.boot - since >= step.limits.clear_dwell_seconds


def handle(step: Step, verdicts: tuple[RuleVerdict, ...]) -> None:
    """OPEN or HELD: over by itself, or ask the gates from this evaluation's evidence alone."""
    firing = confirmed(step, verdicts)
    join(step, firing)
    if well_for_long(step, verdicts):
        return recover(step, "it recovered by itself", proven=True)
    asking = sorted(
        (verdict for verdict in verdicts if curative(verdict) and fires(verdict)),
        key=lambda verdict: (turn_of(verdict.cure), verdict.since or 0.0),
    )
    if not asking:
        return hold(step, nobody_asks(step))
    judgements = [judge(propose(step, verdict)) for verdict in asking]
    blessing.needed(step, judgements)
    permitted = next((judgement for judgement in judgements if not judgement.refusals), None)
    if permitted:
        symptoms = tuple(verdict.rule for verdict in firing if serious(verdict))
        return begin(step, permitted, symptoms, drain=step.state.engine.running and not any(map(hangs, asking)))
    final = [judgement for judgement in judgements if is_final(judgement)]
    if len(final) == len(judgements):
        return escalate(step, sentence_of(final[0].refusals))
    hold(step, tuple(dict.fromkeys(refusal for judgement in judgements for refusal in judgement.refusals)))
    would = next((j for j in judgements if {refusal.gate for refusal in j.refusals} == {HoldReason.OBSERVE}), None)
    return would_act(step, would) if would else None


def propose(step: Step, verdict: RuleVerdict) -> Proposal:
    rung = next_rung(
        verdict.cure, step.capabilities.verbs, tried(step.state, step.incident), step.limits.attempts_per_rung
    )
    return Proposal(
        verdict=verdict,
        rung=rung,
        mode=mode_of(step.limits, verdict.rule, rung.verb),
        incident=step.incident,
        state=step.state,
        now=step.now,
        limits=step.limits,
        capabilities=step.capabilities,
        approver=step.participants.approver,
    )


def is_final(judgement: Judgement) -> bool:
    """Time alone will not lift this no."""
    return any(refusal.gate in (HoldReason.ATTEMPTS, HoldReason.FLAP) for refusal in judgement.refusals)


def hangs(verdict: RuleVerdict) -> bool:
    """Its evidence is that tokens stopped: open exchanges would not drain, so nobody waits for them. Where nobody knows
    whether they stopped, they may still flow."""
    return any(reading.name == "token_progress.stalled" and bool(reading.value) for reading in verdict.readings)


def nobody_asks(step: Step) -> tuple[Refusal, ...]:
    """Why nothing is done although the incident is open."""
    incident, limits = step.incident, step.limits
    if not incident.curative:
        return (
            Refusal(HoldReason.NO_CURE, f"no firing rule asks for an action ({', '.join(incident.rules)} only alert)"),
        )
    if standing := orders.standing(step):
        return standing
    clear_dwell = limits.clear_dwell_seconds
    reasons = [
        Refusal(
            HoldReason.DATA_UNKNOWN, f"no rule that asks for an action fires now; not yet ok for {clear_dwell:.0f} s"
        )
    ]
    if all(mode_of(limits, rule, ladder_of(Cure.WARM_RESTART)[0]) is Mode.OBSERVE for rule in incident.rules):
        reasons.append(Refusal(HoldReason.OBSERVE, "mode is observe"))
    if step.state.pause:
        reasons.append(Refusal(HoldReason.PAUSED, f"paused by {step.state.pause.author}: {step.state.pause.reason}"))
    return tuple(reasons)


def would_act(step: Step, judgement: Judgement) -> None:
    """A dry run got as far as the first effect: said and recorded once for each attempt it would have made."""
    rung, verdict = judgement.proposal.rung, judgement.proposal.verdict
    if not step.once(f"would_act:{rung.verb}:{rung.attempt}"):
        return
    step.once("held")
    step.record(
        "action.would_act",
        incident=step.incident.id,
        rule=verdict.rule,
        verb=str(rung.verb),
        attempt=rung.attempt,
        gates=gates_of(judgement.refusals),
        permits=list(judgement.permits),
    )
    step.tell(
        NoticeKind.WOULD_ACT,
        f"{step.incident.title} · Watchtower would now do {rung.verb}; it does not, because the mode is observe.",
    )


def annotate(step: Step, verdicts: tuple[RuleVerdict, ...]) -> None:
    """ESCALATED stays; that the signals are well again is worth a line."""
    if well_for_long(step, verdicts) and step.once("well_while_escalated"):
        step.record("incident.note", incident=step.incident.id, note="all its rules are ok; still waiting for a person")


def watch_for_blindness(step: Step, verdicts: tuple[RuleVerdict, ...]) -> None:
    """No rule that would wake people can be judged although the engine serves, or none that reads what clients get,
    because the relay does not answer: people should know, once; and hear when rules can be judged again, because an
    alert that was raised must end."""
    watched, unread = watching(verdicts), traffic_unreadable(verdicts)
    judged = any(verdict.verdict is not Verdict.UNKNOWN for verdict in watched)
    if step.state.blind_notified and judged and not unread:
        step.put(blind_notified=False)
        step.tell(
            NoticeKind.RESOLVED,
            "no rule could be judged · The rules can be judged again.",
            severity=str(Severity.WARN),
            subject=f"blind-{step.state.target}",
        )
    if (
        (watch_state(verdicts) is not WatchState.BLIND and not unread)
        or not step.state.engine.serving
        or step.state.action
    ):
        step.put(blind_since=None)
        return
    since = step.state.blind_since if step.state.blind_since is not None else step.now.boot
    step.put(blind_since=since)
    if step.now.boot - since >= step.limits.blind_seconds and not step.state.blind_notified:
        step.put(blind_notified=True)
        lead = loudest_of(watched)
        step.record("signal.blind", rules=[verdict.rule for verdict in watched], because=lead.sentence)
        step.tell(
            NoticeKind.BLIND,
            f"{'no rule on traffic' if judged else 'no rule'} can be judged since {step.clock(since)}, "
            f"although the engine serves · {lead.sentence}",
            severity=str(Severity.WARN),
            subject=f"blind-{step.state.target}",
        )


def overdue(step: Step) -> None:
    """HELD has a deadline: a person is called, unless a person chose the hold; then people are reminded, once."""
    incident = step.state.incident
    if incident is None or incident.state is not IncidentState.HELD or incident.held_since is None:
        return
    if step.now.boot - incident.held_since <= step.limits.hold_deadline_seconds:
        return
    gates = {refusal.gate for refusal in incident.held}
    if not gates & REMINDED_ONLY:
        escalate(step, f"held for {step.limits.hold_deadline_seconds:.0f} s: {sentence_of(incident.held)}")
    elif HoldReason.NO_CURE not in gates and step.once("reminded"):
        step.record("incident.reminded", incident=incident.id, gates=gates_of(incident.held))
        step.tell(
            NoticeKind.HELD,
            f"{incident.title} · Still so since {step.clock(incident.opened_at)}: {sentence_of(incident.held)}.",
        )
