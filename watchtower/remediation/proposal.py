"""What is put before the gates: one rule's cure, as one rung of its ladder, at one instant.

Questions about a proposal that more than one gate asks stand here too, so that gates, remedies and the moves of an
incident can share them without knowing each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from watchtower.remediation.state import Action, Incident, TargetState
from watchtower.settings import RemediationSettings
from watchtower.vocabulary.actions import Capabilities, Mode, Verb
from watchtower.vocabulary.incidents import Refusal
from watchtower.vocabulary.instants import Instant
from watchtower.vocabulary.readings import RuleVerdict

ABSENT = "engine.absent"


class Rung(msgspec.Struct, frozen=True):
    """The next step. ``verb`` is named even when it may not be taken, so that a refusal can say what it refuses."""

    verb: Verb
    attempt: int
    """1 for the first try of this verb in this incident."""
    exhausted: bool
    """No rung has a try left."""


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """May this rule's cure be carried out now?"""

    verdict: RuleVerdict
    rung: Rung
    mode: Mode
    incident: Incident
    state: TargetState
    now: Instant
    limits: RemediationSettings
    capabilities: Capabilities
    approver: bool = False
    """Somebody can be asked: mode ``approve`` is no refusal then."""

    @property
    def verb(self) -> Verb:
        return self.rung.verb


Gate = Callable[[Proposal], Refusal | None]
"""None permits. Anything else is a no, in one sentence with the value and its threshold."""


def mode_of(limits: RemediationSettings, rule: str, verb: Verb) -> Mode:
    """The most precise entry wins: ``rule.verb``, then ``rule``, then the general mode."""
    return limits.modes.get(f"{rule}.{verb}") or limits.modes.get(rule) or limits.mode


def tried(state: TargetState, incident: Incident) -> tuple[Action, ...]:
    """Actions of this incident that nobody has forgiven, oldest first."""
    since = incident.attempts_from
    return tuple(
        action
        for action in state.actions
        if action.incident == incident.id and (since is None or action.started_at > since)
    )


def reaches_back_to(verdict: RuleVerdict, clean_since: float | None) -> float:
    """The oldest instant (CLOCK_BOOTTIME) whose data this verdict can rest on; minus infinity without readings."""
    oldest = min((reading.at - reading.over for reading in verdict.readings), default=-math.inf)
    return oldest if clean_since is None else max(oldest, clean_since)


def absent_since(verdict: RuleVerdict) -> float | None:
    """The instant (CLOCK_BOOTTIME) from which its own readings prove that no engine runs; None when they do not."""
    return next(
        (reading.at - reading.value for reading in verdict.readings if reading.name == ABSENT and reading.value), None
    )


def since_when(proposal: Proposal) -> float:
    """From when on the weights must have been read back: the breach, or the last cure, whichever is later."""
    began = proposal.verdict.since if proposal.verdict.since is not None else proposal.incident.opened_at
    return max(began, *(action.ended_at or 0.0 for action in proposal.state.actions[-1:]), 0.0)


def replaces_the_dead(proposal: Proposal) -> bool:
    """Nothing runs, the rule's own readings prove it, and the adapter's last look says the same."""
    engine = proposal.state.engine
    return engine.known and not engine.running and absent_since(proposal.verdict) is not None
