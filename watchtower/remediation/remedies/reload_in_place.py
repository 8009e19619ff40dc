"""Flush the engine and load the same weights again, in the same process.

Choice: no rule can ask for it yet. It leaves incarnation and weights as they were, so nothing could prove it. The verb
has a name on the menu, and its remedy says what is missing.
"""

from __future__ import annotations

from watchtower.remediation.remedies.by_weights import ProofByWeights
from watchtower.remediation.remedies.remedy import Remedy
from watchtower.remediation.remedies.restarting import RESTARTS, restart_allowances, restart_terms
from watchtower.vocabulary.actions import Verb

RELOAD_IN_PLACE = Remedy(
    verb=Verb.RELOAD_IN_PLACE,
    cure=None,
    pool=RESTARTS,
    allowances=restart_allowances,
    terms=restart_terms,
    proof=ProofByWeights(),
)
