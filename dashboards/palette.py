"""One colour, one meaning, and never colour alone: every state has its word.

UNKNOWN is grey everywhere. A tile without a value says UNKNOWN and is grey as well: without data nothing is green.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import (
    DashboardSpecialValueMapOptions,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

from dashboards.limits import Limit
from watchtower.vocabulary.actions import ActionState
from watchtower.vocabulary.incidents import IncidentState

GOOD = "dark-green"
WARN = "semi-dark-orange"
BAD = "semi-dark-red"
DOING = "semi-dark-blue"
UNKNOWN = "#6e7681"
PLAIN = "text"
LINE = {"p50": "super-light-blue", "p95": "blue", "p99": "dark-blue", "mean": "purple", "max": "orange"}

State = tuple[str, str]
"""Word and colour."""

INCIDENT: Mapping[IncidentState, State] = {
    IncidentState.CLEAR: ("CLEAR", GOOD),
    IncidentState.SUSPECT: ("SUSPECT", "semi-dark-yellow"),
    IncidentState.OPEN: ("OPEN", BAD),
    IncidentState.HELD: ("HELD", WARN),
    IncidentState.ACTING: ("ACTING", DOING),
    IncidentState.VERIFYING: ("VERIFYING", "light-blue"),
    IncidentState.RECOVERING: ("RECOVERING", "light-green"),
    IncidentState.RESOLVED: ("RESOLVED", "semi-dark-green"),
    IncidentState.ESCALATED: ("ESCALATED", "semi-dark-purple"),
}
VERDICT: Mapping[int, State] = {
    0: ("OK", GOOD),
    1: ("UNKNOWN", UNKNOWN),
    2: ("BREACH", "semi-dark-yellow"),
    4: ("FIRING", BAD),
    5: ("FIRING", BAD),
    6: ("FIRING", BAD),
}
STORY: Mapping[int, State] = {
    **VERDICT,
    **{10 + place: INCIDENT[state] for place, state in enumerate(IncidentState)},
    30: ("HELD BACK", WARN),
}
"""Verdicts, states of the incident (from 10 on) and gates (30) on one time axis: cause above effect."""
ACTION: Mapping[ActionState, str] = {
    ActionState.EFFECTIVE: GOOD,
    ActionState.WOULD_ACT: DOING,
    ActionState.INEFFECTIVE: WARN,
    ActionState.INCONCLUSIVE: WARN,
    ActionState.HARMFUL: BAD,
    ActionState.AMBIGUOUS: BAD,
}
"""Outcomes that are a judgement; the others are steps on the way."""


def words(states: Mapping[int, State]) -> list[ValueMapping]:
    """Number → word and colour; no number → UNKNOWN."""
    texts = {str(value): ValueMappingResult(text=text, color=colour) for value, (text, colour) in states.items()}
    return [ValueMap(options=texts), *absent()]


def absent(text: str = "UNKNOWN") -> list[ValueMapping]:
    """What stands in the place of no value."""
    result = ValueMappingResult(text=text, color=UNKNOWN)
    return [SpecialValueMap(DashboardSpecialValueMapOptions(SpecialValueMatch.NULL_AND_NAN, result))]


def numbered(states: Iterable[State]) -> dict[int, State]:
    return dict(enumerate(states))


def thresholds(*steps: tuple[float | None, str]) -> ThresholdsConfig:
    """Steps upward; the first has no value: it begins at minus infinity."""
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps([Threshold(value, colour) for value, colour in steps])


def judged(limit: Limit) -> ThresholdsConfig:
    """Green on the good side of ``limit``, red on the other. The step below every possible value is grey, because
    Grafana paints "no value" in the colour of the lowest step."""
    lowest = 0.0 if limit.upward else -1.0
    below, above = (GOOD, BAD) if limit.upward else (BAD, GOOD)
    return thresholds((None, UNKNOWN), (lowest, below), (limit.value, above))
