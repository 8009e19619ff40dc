"""The limits an action was begun under, frozen with it: a changed configuration cannot loosen them while it runs."""

from __future__ import annotations

import msgspec

from watchtower.settings import RemediationSettings
from watchtower.vocabulary.actions import Verb


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, but for ``dwell_evaluations``."""

    execute_seconds: float
    ready_seconds: float
    stabilization_seconds: float
    verify_seconds: float
    dwell_evaluations: int


def terms_of(limits: RemediationSettings, verb: Verb) -> Terms:
    """A rollback is slow to carry out, and then ready at once: the engine has never stopped."""
    rollback = verb is Verb.ROLLBACK
    return Terms(
        execute_seconds=limits.reload_seconds if rollback else limits.execute_seconds,
        ready_seconds=min(limits.ready_seconds, limits.execute_seconds) if rollback else limits.ready_seconds,
        stabilization_seconds=limits.stabilization_seconds,
        verify_seconds=limits.verify_seconds,
        dwell_evaluations=limits.dwell_evaluations,
    )
