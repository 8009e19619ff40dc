"""A person's orders: start, restart, stop. Not charged to any budget, and no part of an incident.

They leave by the same way as a cure (intent before effect, the same fence, one action at a time, the same proof of a
new incarnation) but pass no gate of a rule: a person decides. A ``stop`` is durable. Until a person starts the engine,
or somebody else visibly did, an engine that is gone is no trouble, and nothing is cured.
"""

from __future__ import annotations

import msgspec

from watchtower.remediation import recovery
from watchtower.remediation.departure import Announcement, depart, new_action
from watchtower.remediation.incident import clear, recover
from watchtower.remediation.interface import Commanded, StopEngine
from watchtower.remediation.proposal import absent_since
from watchtower.remediation.reconciliation import ask_again
from watchtower.remediation.remedies import ladder_of
from watchtower.remediation.state import ByPerson, Stopped
from watchtower.remediation.step import Step
from watchtower.vocabulary.actions import ActionState, Cure, Verb
from watchtower.vocabulary.facts import EngineSeen
from watchtower.vocabulary.incidents import HoldReason, IncidentState, NoticeKind, Refusal
from watchtower.vocabulary.ownership import PersonVerb
from watchtower.vocabulary.readings import RuleVerdict

START, STOP = PersonVerb.START, PersonVerb.STOP
PERSON_ORDERS = (START, "restart", STOP)


def refused(step: Step, event: Commanded) -> str:
    """Why an order is not obeyed; "" when it is."""
    state, engine = step.state, step.state.engine
    if not event.reason:
        return "an order needs a reason"
    if state.action:
        return f"{state.action.op_id} is under way"
    if state.storage_fault:
        return f"the journal cannot be relied on: {state.storage_fault}"
    if not state.holds_lease(step.now.boot):
        return "another Watchtower holds the lease on this target"
    if event.verb == STOP:
        return f"{state.stopped.author} stopped it already: {state.stopped.reason}" if state.stopped else ""
    if not engine.known:
        return f"the engine cannot be identified: {engine.because}"
    if event.verb == START and engine.running:
        return "" if state.stopped else f"{engine.incarnation} runs already"
    return "" if verb_of(step) else "the supervisor cannot start an engine"


def verb_of(step: Step) -> Verb | None:
    """The smallest restart that the adapter can do."""
    return next((verb for verb in ladder_of(Cure.WARM_RESTART) if verb in step.capabilities.verbs), None)


def obey(step: Step, event: Commanded) -> None:
    """Durable before it is done, like everything else."""
    if event.verb == STOP:
        return stop(step, event)
    step.put(stopped=None)
    verb = verb_of(step)
    if verb is None or (event.verb == START and step.state.engine.running):
        return None
    engine = step.state.engine
    what = "restarted" if engine.running else "started"
    action = new_action(
        step,
        verb,
        engine.incarnation,
        incident="",
        origin=ByPerson(event.author, event.reason),
        symptoms=(),
        reason=f"{event.author}: {event.reason}",
        drain=engine.running,
    )
    notice = f"{event.author} has the engine {what} · {event.reason}. Requests wait meanwhile."
    depart(step, action, Announcement("", notice), because=f"ordered by {event.author}", detail={})
    return None


def stop(step: Step, event: Commanded) -> None:
    incarnation = step.state.engine.incarnation
    stopped = Stopped(
        author=event.author, reason=event.reason, since=step.now.boot, incarnation=incarnation, asked=True
    )
    step.put(stopped=stopped)
    incident = step.state.incident
    if incident and incident.state is IncidentState.SUSPECT:
        clear(step, f"{event.author} stopped the engine: {event.reason}")
    nothing = "Nothing is cured until it is started."
    step.report_order(NoticeKind.ACTING, f"{event.author} has the engine stopped · {event.reason}. {nothing}")
    step.want(StopEngine(event.author, event.reason))


def standing(step: Step) -> tuple[Refusal, ...]:
    """Why nothing is cured while a stop stands."""
    stopped = step.state.stopped
    if stopped is None:
        return ()
    return (Refusal(HoldReason.OTHER_CONTROLLER, f"{stopped.author} stopped the engine: {stopped.reason}"),)


def silences(step: Step, verdict: RuleVerdict) -> bool:
    """Its own readings prove that no engine runs, and that is what a person wanted."""
    return step.state.stopped is not None and absent_since(verdict) is not None


def seen(step: Step, fact: EngineSeen) -> None:
    """Whether a stop still stands, now that the adapter looked."""
    stopped = step.state.stopped
    if stopped is None or fact.incarnation is None:
        return
    if fact.incarnation != stopped.incarnation:
        step.put(stopped=None)
        because = f"{fact.incarnation} runs"
        step.record("command.stop_ended", author=stopped.author, reason=stopped.reason, because=because)
    elif not stopped.asked:
        step.put(stopped=msgspec.structs.replace(stopped, asked=True))
        step.want(StopEngine(stopped.author, stopped.reason))


def restarted(step: Step) -> None:
    """Watchtower itself began anew: whether the engine was asked to end is not known any more."""
    if step.state.stopped:
        step.put(stopped=msgspec.structs.replace(step.state.stopped, asked=False))


def replaced(step: Step, why: str) -> None:
    """An ordered restart brought another incarnation: nothing is to be cured until new evidence shows it."""
    incident = step.state.incident
    if incident is None:
        return
    match incident.state:
        case IncidentState.SUSPECT:
            clear(step, why)
        case IncidentState.OPEN | IncidentState.HELD:
            recover(step, why, tell=True)
        case _:
            step.record("incident.note", incident=incident.id, note=why)


def watch(step: Step, symptoms: tuple[RuleVerdict, ...]) -> None:
    """At each evaluation, while an order is under way: what an incident's action gets from its incident."""
    action = step.state.action
    if action is None or not action.ordered:
        return
    if action.state is ActionState.RECONCILE:
        ask_again(step)
    elif action.state is ActionState.VERIFYING:
        recovery.verify(step, symptoms)
