"""``decide``: the whole of remediation as one pure function.

It is told what happened and answers with the next state and what is wanted, in order: the same state, event and
instant give the same answer, on a live server, in a replay and after a crash. The runner commits the new state
together with the records and notices, and only then does the rest; a crash at any point is just another state to
start from.
"""

from __future__ import annotations

from watchtower.remediation import (
    action,
    arrival,
    assessment,
    blessing,
    checkpoint_registry,
    orders,
    people,
    reconciliation,
    recovery,
)
from watchtower.remediation.conclusion import settle
from watchtower.remediation.incident import came_back, clear, external_change
from watchtower.remediation.interface import (
    NOBODY,
    Approved,
    BypassSeen,
    Canaried,
    Commanded,
    Denied,
    Drained,
    Effect,
    EngineObserved,
    Event,
    Evidence,
    EvidenceCollected,
    ExecuteReplied,
    Fenced,
    Participants,
    ReadBack,
    ReleaseTraffic,
    Reserved,
    Rounded,
    Started,
    StatusAnswered,
    StorageFailed,
)
from watchtower.remediation.state import EngineView, TargetState, rebased, trimmed
from watchtower.remediation.step import Step
from watchtower.settings import RemediationSettings
from watchtower.vocabulary.actions import Capabilities
from watchtower.vocabulary.facts import EngineSeen
from watchtower.vocabulary.incidents import IncidentState, NoticeKind
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.readings import Severity


def decide(
    state: TargetState,
    event: Event,
    now: Instant,
    limits: RemediationSettings,
    capabilities: Capabilities,
    participants: Participants = NOBODY,
) -> tuple[TargetState, tuple[Effect, ...]]:
    """The next state, and the effects wanted, records first where order matters."""
    step = Step(trimmed(rebased(state, now), now), now, limits, capabilities, participants)
    step.put(moment=now.boot)
    people.expire_pause(step)
    match event:
        case Started():
            started(step, event)
        case Evidence():
            assessment.evaluate(step, event)
            blessing.watch(step)
        case EngineObserved():
            seen(step, event.fact)
        case Approved():
            action.approved(step, event)
        case Denied():
            action.denied(step, event)
        case Reserved():
            action.reserved(step, event)
        case EvidenceCollected():
            action.collected(step, event)
        case Drained():
            action.drained(step, event)
        case ExecuteReplied():
            action.replied(step, event)
        case Fenced():
            reconciliation.fenced(step, event)
        case StatusAnswered():
            reconciliation.answered(step, event)
        case Canaried():
            arrival.canaried(step, event.fact)
        case Rounded():
            blessing.rounded(step, event.fact)
        case ReadBack():
            blessing.read_back(step, event.fact)
            arrival.read_back(step, event.fact)
        case Commanded():
            people.commanded(step, event)
        case BypassSeen():
            people.bypass_seen(step, event)
        case StorageFailed():
            storage_failed(step, event.because)
    action.overdue(step)
    assessment.overdue(step)
    recovery.overdue(step)
    return step.state, tuple(step.effects)


def started(step: Step, event: Started) -> None:
    """A new run of Watchtower: evidence starts from nothing, what is under way is taken up where it is."""
    step.put(
        started_at=step.now.boot,
        streaks={},
        clean_since=None,
        blind_since=None,
        storage_fault="",
        engine=_unseen(step.state.engine),
        checkpoints=checkpoint_registry.not_asked(step.state.checkpoints),
    )
    adapted = step.state.adapted
    step.record("watchtower.started", storage_fault=event.storage_fault, **({"adapted": adapted} if adapted else {}))
    step.put(adapted=())
    orders.restarted(step)
    people.announce_mode(step)
    if event.storage_fault:
        storage_failed(step, event.storage_fault)
    incident = step.state.incident
    if incident and incident.state is IncidentState.SUSPECT:
        clear(step, "Watchtower restarted: evidence starts from nothing")
    elif incident:
        step.amend(ok_since=None)
    if step.state.action:
        reconciliation.restarted(step)
    elif step.state.actions:
        step.want(ReleaseTraffic(step.action.op_id))  # the one wanted before the restart may have been lost
        settle(step)


def _recovering(step: Step) -> bool:
    return step.state.incident is not None and step.incident.state is IncidentState.RECOVERING


def _unseen(engine: EngineView) -> EngineView:
    """What was known of the engine is kept, but counts for nothing until somebody looks."""
    return EngineView(incarnation=engine.incarnation, changed_at=engine.changed_at)


def storage_failed(step: Step, because: str) -> None:
    """Latched until the next start: no action from here on, and people are told once."""
    if step.state.storage_fault:
        return
    step.put(storage_fault=because or "unknown fault")
    step.record("storage.fault", because=because)
    step.tell(
        NoticeKind.STORAGE_FAULT,
        f"the journal cannot be relied on · Watchtower only observes until it is repaired and restarted: {because}.",
        severity=str(Severity.PAGE),
        subject=f"storage-{step.state.target}",
    )


def seen(step: Step, fact: EngineSeen) -> None:
    """The adapter looked: the same engine, another one, none, or nobody knows."""
    before = step.state.engine
    if not fact.known:
        step.put(
            engine=EngineView(
                incarnation=before.incarnation,
                because=fact.because or "the adapter could not tell",
                changed_at=before.changed_at,
                looked_at=fact.at,
            )
        )
        return
    gone = fact.incarnation is None
    newest = fact.incarnation or fact.ended or before.incarnation
    changed = before.incarnation is not None and newest != before.incarnation
    step.put(
        engine=EngineView(
            incarnation=newest,
            known=True,
            running=not gone,
            serving=fact.serving and not gone,
            because=fact.because,
            changed_at=fact.at if changed else before.changed_at,
            looked_at=fact.at,
        )
    )
    if newest != before.incarnation:
        step.put(streaks={})
        blessing.forget(step, "this incarnation was not read yet")
        step.record("engine.changed" if changed else "engine.identified", incarnation=str(newest))
    if gone and before.running:
        step.put(streaks={})
        step.record("engine.gone", incarnation=str(newest), because=fact.because)
        blessing.forget(step, "the engine is gone")
    orders.seen(step, fact)
    if in_flight := step.state.action:
        action.seen(step, fact)
        if changed and not gone and in_flight.ordered:
            orders.replaced(step, f"the engine was restarted by order ({in_flight.reason})")
    elif changed and not gone:
        external_change(step, f"the engine was restarted, not by Watchtower ({fact.incarnation})")
    elif gone and not step.state.stopped and _recovering(step):
        came_back(step, f"the engine is gone ({fact.how})")
