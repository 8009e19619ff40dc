"""What became of one fault, read from the API's incidents and actions. Pure.

*Detected* is the instant the incident turned OPEN (suspecting is not detecting), *cured* the instant its action was
judged effective: both are the daemon's own marks, compared with the injector's on the same clock, CLOCK_BOOTTIME.
"""

from __future__ import annotations

import msgspec

from watchtower.lab.demonstration.narration import Json, Look
from watchtower.lab.simulator.chats import PhaseCounts
from watchtower.lab.simulator.faults import Proof

TOLD_ONLY = ("imbalance",)
"""Faults that no restart cures: people are told, nothing is done."""
IN_PLACE = ("drift",)
"""Faults whose cure leaves the process as it is: the weights are what has to change."""
FREE = ("slow", "drift")
"""Faults whose cure may cost no request."""


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """What the API says about everything since one injection."""

    incident: Json | None = None
    detected_at: float | None = None
    cured_at: float | None = None
    would_act: bool = False
    acted: bool = False
    """Anything was dispatched, effective or not."""
    action: Json | None = None
    """The effective action, else the newest."""

    @property
    def escalated(self) -> bool:
        return self.incident is not None and self.incident["state"] == "escalated"


NOTHING = Sighting()


def sighting(injected_at: float, look: Look) -> Sighting:
    """What ``look`` says of the time since the injection; what happened before it does not count."""
    mine = [action for action in look.actions if action["started_at"] >= injected_at]
    cured = next((action for action in mine if action["state"] == "effective"), None)
    journal = [entry for entry in look.journal if entry.at >= injected_at]
    detected_at = next((entry.at for entry in journal if entry.kind == "incident.open"), None)
    return Sighting(
        incident=look.incidents[0] if detected_at is not None else None,
        detected_at=detected_at,
        cured_at=cured["ended_at"] if cured else None,
        would_act=any(entry.kind == "action.would_act" for entry in journal),
        acted=any(action["dispatched_at"] is not None for action in mine),
        action=cured or (mine[0] if mine else None),
    )


class FaultReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One line of the table, one object of the JSON. Seconds count from the injection."""

    fault: str
    detected_s: float | None
    cured_s: float | None
    verified: bool
    verified_by: tuple[str, ...]
    requests: int
    failed_requests: int
    failed_by_kind: dict[str, int]
    would_act: bool
    acted: bool
    title: str = msgspec.field(name="told")  # in the JSON, where others read it
    """The sentence that people were told when it was detected."""
    still_firing: bool
    """Mode observe: its rule still fired when the demo took the fault away."""
    process_before: Json | None
    process_after: Json | None
    process_replaced: bool
    """Looked up in /proc by the demo itself: the old process is gone, another one serves."""
    weights_before: str
    """Checksum of the weights in memory, asked by the demo itself; "" where it does not ask."""
    weights_after: str
    incident: str
    op_id: str
    proof: Proof


def report(
    proof: Proof,
    seen: Sighting,
    counts: PhaseCounts,
    *,
    before: Json | None,
    after: Json | None,
    replaced: bool,
    still_firing: bool = False,
    weights: tuple[str, str] = ("", ""),
) -> FaultReport:
    action = seen.action or {}

    def since(instant: float | None) -> float | None:
        return None if instant is None else round(instant - proof.injected_at, 2)

    verified_by = tuple(action.get("verified_by") or ()) if seen.cured_at is not None else ()
    restored = bool(weights[0]) and weights[0] == weights[1] and not replaced
    return FaultReport(
        fault=proof.fault,
        detected_s=since(seen.detected_at),
        cured_s=since(seen.cured_at),
        verified=bool(verified_by) and (restored if proof.fault in IN_PLACE else replaced),
        verified_by=verified_by,
        requests=counts.requests,
        failed_requests=counts.failed_requests,
        failed_by_kind=dict(counts.failed),
        would_act=seen.would_act,
        acted=seen.acted,
        title=(seen.incident or {}).get("title", ""),
        still_firing=still_firing,
        process_before=before,
        process_after=after,
        process_replaced=replaced,
        weights_before=weights[0],
        weights_after=weights[1],
        incident=(seen.incident or {}).get("id", ""),
        op_id=action.get("op_id", ""),
        proof=proof,
    )


def as_promised(reports: list[FaultReport], mode: str, faults: int) -> list[str]:
    """What was not as promised, each in one sentence; empty when all was."""
    wrong = [] if len(reports) == faults else [f"only {len(reports)} of {faults} faults were shown"]
    for shown in reports:
        if shown.detected_s is None:
            wrong.append(f"{shown.fault}: not detected")
        if shown.fault in TOLD_ONLY:
            wrong += _alert_only(shown)
            continue
        if mode == "observe":
            if not shown.would_act:
                wrong.append(f"{shown.fault}: no would-act was recorded")
            if shown.acted or shown.cured_s is not None or shown.process_replaced:
                wrong.append(f"{shown.fault}: something was done in mode observe")
            if not shown.still_firing:
                wrong.append(f"{shown.fault}: it went away by itself")
            continue
        if shown.cured_s is None:
            wrong.append(f"{shown.fault}: not cured")
        elif not shown.verified:
            wrong.append(f"{shown.fault}: the cure is not verified")
        if shown.fault in FREE and shown.failed_requests:
            wrong.append(f"{shown.fault}: the cure cost {shown.failed_requests} requests")
    return wrong


def _alert_only(shown: FaultReport) -> list[str]:
    wrong = []
    if shown.acted or shown.process_replaced:
        wrong.append(f"{shown.fault}: something was done about it, and nothing should have been")
    if shown.detected_s is not None and str(shown.proof.evidence["gpu"]) not in shown.title:
        wrong.append(f"{shown.fault}: the alert does not name {shown.proof.evidence['gpu']}")
    if shown.failed_requests:
        wrong.append(f"{shown.fault}: {shown.failed_requests} requests failed")
    return wrong
