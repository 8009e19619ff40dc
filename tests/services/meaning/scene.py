"""Circumstances that a test sets by hand."""

from __future__ import annotations

from watchtower.remediation.state import Incident
from watchtower.services.meaning.circumstances import Circumstances
from watchtower.vocabulary.facts import EngineSeen
from watchtower.vocabulary.incidents import IncidentState
from watchtower.vocabulary.readings import RuleVerdict


def an_incident(id: str, *rules: str, state: IncidentState = IncidentState.OPEN) -> Incident:
    return Incident(
        id=id,
        state=state,
        severity="page",
        title="something is wrong",
        rules=rules,
        curative=False,
        opened_at=1.0,
        opened_wall=1.0,
        entered_at=1.0,
        known_at=1.0,
        window_seconds=60.0,
    )


class Scene:
    """All is well until a test says otherwise."""

    def __init__(self) -> None:
        self.incident: Incident | None = None
        self.verdicts: tuple[RuleVerdict, ...] = ()
        self.engine: EngineSeen | None = None
        self.circumstances = Circumstances(lambda: self.incident, lambda: self.verdicts, lambda: self.engine)
