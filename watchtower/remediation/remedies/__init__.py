"""Every verb there is, one file each. This list is the only place that knows them all.

Its order decides twice: of several cures that are due, the one whose remedy stands first goes first; within one cure
it is the ladder, lowest rung first.
"""

from __future__ import annotations

from watchtower.remediation.remedies.reload_in_place import RELOAD_IN_PLACE
from watchtower.remediation.remedies.remedy import Remedy
from watchtower.remediation.remedies.restart_group import RESTART_GROUP
from watchtower.remediation.remedies.restart_host import RESTART_HOST
from watchtower.remediation.remedies.rollback import ROLLBACK
from watchtower.vocabulary.actions import Cure, Verb

REMEDIES: tuple[Remedy, ...] = (ROLLBACK, RELOAD_IN_PLACE, RESTART_GROUP, RESTART_HOST)


def remedy_of(verb: Verb) -> Remedy:
    """Raises LookupError for a verb without one: a defect, found by the first test that looks at the list."""
    for remedy in REMEDIES:
        if remedy.verb is verb:
            return remedy
    raise LookupError(f"no remedy is listed for {verb}")


def ladder_of(cure: Cure) -> tuple[Verb, ...]:
    """The verbs of this cure, lowest rung first."""
    return tuple(remedy.verb for remedy in REMEDIES if remedy.cure is cure)


def turn_of(cure: Cure) -> int:
    """Where this cure stands among several that are due: the smallest goes first."""
    return next((index for index, remedy in enumerate(REMEDIES) if remedy.cure is cure), len(REMEDIES))
