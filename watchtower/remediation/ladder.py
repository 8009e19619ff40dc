"""Which verb comes next: the ladder of a warm restart, climbed, never circled.

After a rung that failed the next one up is tried, because a restart that did not help once (orphans, leaked shared
memory) seldom helps twice; only where there is no rung above may a rung be tried again, ``attempts_per_rung`` times in
all. A rung below one that was already tried is never used again in the same incident.
"""

from __future__ import annotations

from watchtower.remediation.proposal import Rung
from watchtower.remediation.remedies import ladder_of
from watchtower.remediation.state import Action
from watchtower.vocabulary.actions import ActionState, Cure, Verb

FAILED = frozenset({ActionState.INEFFECTIVE, ActionState.INCONCLUSIVE, ActionState.HARMFUL, ActionState.AMBIGUOUS})
"""It was (or may have been) done, and did not help."""
UNDONE = frozenset({ActionState.CANCELLED, ActionState.NOT_EXECUTED, ActionState.WOULD_ACT})
"""It never happened: the rung was not tried, though the incident used up an attempt."""


def next_rung(cure: Cure, able: tuple[Verb, ...], tried: tuple[Action, ...], attempts_per_rung: int) -> Rung:
    """``tried``: the actions of this incident that count, oldest first. ``able``: the adapter's verbs."""
    ladder = ladder_of(cure)
    rungs = tuple(verb for verb in ladder if verb in able) or ladder[:1]
    counting = [action for action in tried if action.verb in rungs and action.state not in UNDONE]
    lowest = max((rungs.index(action.verb) for action in counting), default=0)
    times = {verb: sum(action.verb is verb for action in counting) for verb in rungs}
    failed = {action.verb for action in counting if action.state in FAILED}
    left = [verb for verb in rungs[lowest:] if times[verb] < attempts_per_rung]
    if not left:
        return Rung(rungs[-1], times[rungs[-1]] + 1, exhausted=True)
    verb = next((verb for verb in left if verb not in failed), left[0])
    return Rung(verb, times[verb] + 1, exhausted=False)
