"""The limits an action was begun under, frozen with it: a changed configuration cannot loosen them while it runs."""

from __future__ import annotations

import msgspec


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, but for ``dwell_evaluations``."""

    execute_seconds: float
    ready_seconds: float
    stabilization_seconds: float
    verify_seconds: float
    dwell_evaluations: int
