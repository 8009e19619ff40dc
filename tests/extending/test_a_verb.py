"""What it takes to add a verb: one file with its remedy, and its line in the list of remedies.

``reload_in_place`` stands on the menu of verbs, but no rule can ask for it. Here it gets a remedy as a stranger would
write it: the machine then climbs to it, charges it, gives it its deadlines, asks its gate, and proves it, and no other
file had to know.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from tests.remediation.scenes import silent
from tests.remediation.stage import CLASS_A, Stage, limits
from watchtower.remediation import remedies
from watchtower.remediation.proposal import Proposal
from watchtower.remediation.remedies import REMEDIES
from watchtower.remediation.remedies.by_incarnation import ProofByIncarnation
from watchtower.remediation.remedies.remedy import Allowance, Remedy
from watchtower.remediation.state import DAY
from watchtower.remediation.terms import Terms
from watchtower.settings import RemediationSettings
from watchtower.vocabulary.actions import ActionState, Cure, Verb
from watchtower.vocabulary.incidents import HoldReason, IncidentState, Refusal

# ── the file ────────────────────────────────────────────────────────────────────────────────────


def engine_is_warm(proposal: Proposal) -> Refusal | None:
    """The gate that this verb adds."""
    if proposal.state.engine.serving:
        return None
    return Refusal(HoldReason.PREFLIGHT, "the engine does not serve, so it cannot reload")


def quick(limits: RemediationSettings) -> Terms:
    return Terms(
        execute_seconds=7.0,
        ready_seconds=9.0,
        stabilization_seconds=limits.stabilization_seconds,
        verify_seconds=limits.verify_seconds,
        dwell_evaluations=limits.dwell_evaluations,
    )


RELOAD = Remedy(
    verb=Verb.RELOAD_IN_PLACE,
    cure=Cure.WARM_RESTART,
    pool="reloads",
    allowances=lambda limits: (Allowance("24 h", DAY, 1),),
    terms=quick,
    proof=ProofByIncarnation(),
    gates=(engine_is_warm,),
)

# ── the line ────────────────────────────────────────────────────────────────────────────────────

LISTED = (RELOAD, *(remedy for remedy in REMEDIES if remedy.verb is not RELOAD.verb))


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remedies, "REMEDIES", LISTED)


def stage(**changes: object) -> Stage:
    return Stage(limits(**changes), msgspec.structs.replace(CLASS_A, verbs=(RELOAD.verb, *CLASS_A.verbs)))


def test_it_is_the_first_rung_of_its_cure_and_is_carried_out_and_proven() -> None:
    scene = stage().acting()
    scene.until(IncidentState.RECOVERING)
    assert [plan.verb for plan in scene.adapter.plans] == [Verb.RELOAD_IN_PLACE]
    assert scene.outcome() is ActionState.EFFECTIVE


def test_when_it_does_not_help_the_ladder_goes_on_above_it() -> None:
    scene = stage(attempts_per_incident=2, hold_deadline_seconds=1000)
    scene.cures = False
    scene.acting().until(IncidentState.ESCALATED, within=1000)
    assert [plan.verb for plan in scene.adapter.plans] == [Verb.RELOAD_IN_PLACE, Verb.RESTART_GROUP]


def test_its_deadlines_are_frozen_into_the_action() -> None:
    action = silent(stage()).acting().state.actions[-1]
    assert (action.terms.execute_seconds, action.terms.ready_seconds) == (7.0, 9.0)


def test_its_own_gate_is_asked() -> None:
    scene = stage()
    scene.quiet().serving = False
    assert scene.breach().tick(3).held_by == {"preflight"}


def test_its_own_budget_is_counted_apart_from_that_of_the_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    none = replace(RELOAD, allowances=lambda limits: (Allowance("24 h", DAY, 0),))
    monkeypatch.setattr(remedies, "REMEDIES", (none, *LISTED[1:]))
    scene = stage().acting().tick()
    assert scene.held_by == {"budget"}
    assert "0 of 0 reloads in the last 24 h are used" in scene.incident.held[0].because
