"""Load the blessed checkpoint into the running engine.

It needs a target that is blessed, readable and not in memory already, and it is proven by reading the weights back. A
rollback that failed half-way is made up for by one restart, provided that a start loads the blessed checkpoint; it is
never tried twice in one incident.
"""

from __future__ import annotations

from watchtower.remediation.checkpoint_registry import Checkpoints, short
from watchtower.remediation.proposal import Proposal, since_when
from watchtower.remediation.remedies.by_weights import ProofByWeights
from watchtower.remediation.remedies.remedy import Aim, Allowance, Remedy
from watchtower.remediation.state import DAY
from watchtower.remediation.terms import Terms
from watchtower.settings import RemediationSettings
from watchtower.vocabulary.actions import Cure, Verb
from watchtower.vocabulary.incidents import HoldReason, Refusal


def checkpoint_blessed(proposal: Proposal) -> Refusal | None:
    if proposal.state.checkpoints.blessed:
        return None
    return Refusal(HoldReason.NO_CURE, "no checkpoint is blessed, so there is nothing to roll back to")


def checkpoint_read_back(proposal: Proposal) -> Refusal | None:
    """Needs an engine whose weights can be read: without that, no reload could ever be proven."""
    known = proposal.state.checkpoints
    if known.looked_at is None or not known.observed:
        return Refusal(HoldReason.DATA_UNKNOWN, f"which weights are in memory is not known: {known.because}")
    late = since_when(proposal) - known.looked_at
    if late <= 0:
        return None
    return Refusal(
        HoldReason.DATA_UNKNOWN,
        f"the weights were last read back {late:.0f} s before this breach began; 0 s is the limit",
    )


def checkpoint_changed(proposal: Proposal) -> Refusal | None:
    known = proposal.state.checkpoints
    if not known.is_blessed or checkpoint_read_back(proposal):
        return None  # what was read before the breach says nothing
    return Refusal(
        HoldReason.NO_CHECKPOINT_CHANGE,
        f"the blessed checkpoint {short(known.observed)} is in memory, so other weights are not what changed",
    )


def blessed_weights(known: Checkpoints) -> Aim:
    """The blessed checkpoint; nothing where none is blessed."""
    target = known.blessed
    if target is None:
        return Aim()
    words = f", from {short(known.observed)} to the blessed {short(target.digest)} of {target.declared}"
    return Aim(target.declared, target.digest, known.observed, words)


def rollback_terms(limits: RemediationSettings) -> Terms:
    """Slow to carry out, and then ready at once: the engine has never stopped."""
    return Terms(
        execute_seconds=limits.reload_seconds,
        ready_seconds=min(limits.ready_seconds, limits.execute_seconds),
        stabilization_seconds=limits.stabilization_seconds,
        verify_seconds=limits.verify_seconds,
        dwell_evaluations=limits.dwell_evaluations,
    )


ROLLBACK = Remedy(
    verb=Verb.ROLLBACK,
    cure=Cure.ROLLBACK,
    pool="rollbacks",
    allowances=lambda limits: (Allowance("24 h", DAY, limits.rollbacks_per_day),),
    terms=rollback_terms,
    proof=ProofByWeights(),
    gates=(checkpoint_blessed, checkpoint_read_back, checkpoint_changed),
    opened_by_reading=checkpoint_read_back,
    aim=blessed_weights,
    tried_once=True,
    made_up_for_by=Verb.RESTART_GROUP,
)
