"""What all restarts have in common: one budget, the time a start may take."""

from __future__ import annotations

from watchtower.remediation.remedies.remedy import Allowance
from watchtower.remediation.state import DAY, HOUR
from watchtower.remediation.terms import Terms
from watchtower.settings import RemediationSettings

RESTARTS = "restarts"


def restart_allowances(limits: RemediationSettings) -> tuple[Allowance, ...]:
    return Allowance("hour", HOUR, limits.restarts_per_hour), Allowance("24 h", DAY, limits.restarts_per_day)


def restart_terms(limits: RemediationSettings) -> Terms:
    return Terms(
        execute_seconds=limits.execute_seconds,
        ready_seconds=limits.ready_seconds,
        stabilization_seconds=limits.stabilization_seconds,
        verify_seconds=limits.verify_seconds,
        dwell_evaluations=limits.dwell_evaluations,
    )
