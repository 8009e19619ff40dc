"""What the headline is made of: the newest evaluation and what is committed of incident and pause."""

from __future__ import annotations

from collections.abc import Sequence

from watchtower.remediation.state import TargetState
from watchtower.vocabulary.headline import DOCTOR, Headline, Holds, Steady, Watched, headline
from watchtower.vocabulary.incidents import IncidentState
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.readings import RuleVerdict

OVER = frozenset({IncidentState.CLEAR, IncidentState.RESOLVED})
CURING = frozenset({IncidentState.ACTING, IncidentState.VERIFYING})


class Heading:
    """One a daemon."""

    def __init__(self, target: str, tick_seconds: float, started_at: float) -> None:
        self.watched = Watched(target=target, tick_at=None, tick_seconds=tick_seconds, started_at=started_at)
        self._state = TargetState(target=target)
        self._steady = Steady()

    def after_commit(self, state: TargetState) -> None:
        self._state = state

    def after_tick(self, verdicts: Sequence[RuleVerdict], at: Instant) -> Headline:
        """What is to be shown from now on."""
        self.watched = watched(self.watched, self._state, verdicts, at)
        return self._steady.update(headline(self.watched, at.boot), at.boot)


def watched(before: Watched, state: TargetState, verdicts: Sequence[RuleVerdict], at: Instant) -> Watched:
    """At this evaluation. Pure."""
    return Watched(
        target=before.target,
        tick_at=at.boot,
        tick_seconds=before.tick_seconds,
        started_at=before.started_at,
        verdicts=tuple(verdicts),
        incident=_incident(state, at.boot),
        curing=state.incident is not None and state.incident.state in CURING,
        bypassed=_bypassed(state, at),
        paused=_paused(state),
    )


def _incident(state: TargetState, at: float) -> Holds | None:
    incident = state.incident
    if incident is not None and incident.state not in OVER:
        sentence = f"{incident.state.value.upper()} · {incident.title}"
        return Holds(sentence, incident.opened_at, f"watchtower explain {incident.id}")
    if state.storage_fault:
        return Holds(f"nothing can be cured now, Watchtower only observes · {state.storage_fault}", at, DOCTOR)
    return None


def _bypassed(state: TargetState, at: Instant) -> Holds | None:
    bypassed = state.bypassed
    if bypassed is None:
        return None
    sentence = "BYPASSED · the relay reads nothing, so nothing about the traffic is judged"
    return Holds(sentence, at.boot - (at.wall - bypassed.since_wall), "watchtower bypass --off")


def _paused(state: TargetState) -> Holds | None:
    pause = state.pause
    if pause is None:
        return None
    return Holds(f"paused by {pause.author}: {pause.reason}", pause.since, "watchtower resume")
