"""Replace whatever the process group lives in (container, pod): the rung above, where an adapter has one."""

from __future__ import annotations

from watchtower.remediation.remedies.by_incarnation import ProofByIncarnation
from watchtower.remediation.remedies.remedy import Remedy
from watchtower.remediation.remedies.restarting import RESTARTS, restart_allowances, restart_terms
from watchtower.vocabulary.actions import Cure, Verb

RESTART_HOST = Remedy(
    verb=Verb.RESTART_HOST,
    cure=Cure.WARM_RESTART,
    pool=RESTARTS,
    allowances=restart_allowances,
    terms=restart_terms,
    proof=ProofByIncarnation(),
)
