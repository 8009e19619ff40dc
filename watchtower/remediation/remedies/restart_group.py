"""End the engine's process group and start it anew: the first rung of a warm restart."""

from __future__ import annotations

from watchtower.remediation.remedies.by_incarnation import ProofByIncarnation
from watchtower.remediation.remedies.remedy import Remedy
from watchtower.remediation.remedies.restarting import RESTARTS, restart_allowances, restart_terms
from watchtower.vocabulary.actions import Cure, Verb

RESTART_GROUP = Remedy(
    verb=Verb.RESTART_GROUP,
    cure=Cure.WARM_RESTART,
    pool=RESTARTS,
    allowances=restart_allowances,
    terms=restart_terms,
    proof=ProofByIncarnation(),
)
