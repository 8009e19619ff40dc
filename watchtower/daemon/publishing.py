"""Turns the machine's committed state into the JSON of the API. Called after each commit, never before."""

from __future__ import annotations

from typing import Any

import msgspec

from watchtower.board import Board
from watchtower.remediation.checkpoint_registry import Checkpoints
from watchtower.remediation.state import Action, Incident, TargetState
from watchtower.vocabulary.actions import Incarnation


def publish(board: Board, state: TargetState) -> None:
    """Replace remediation's part of the board."""
    current = (state.incident,) if state.incident else ()
    # while a resolved incident may be coming back it stands in both places
    earlier = [incident for incident in state.recent if not state.incident or incident.id != state.incident.id]
    board.incidents = [incident_json(incident) for incident in (*current, *earlier)]
    board.actions = [action_json(action) for action in reversed(state.actions)]
    board.incident = incident_json(state.incident) if state.incident else None
    board.action = next(
        (one for one in board.actions if board.incident and one["incident"] == board.incident["id"]), None
    )
    board.paused = (
        {"author": state.pause.author, "reason": state.pause.reason, "until_wall": state.pause.until_wall}
        if state.pause
        else None
    )
    board.storage_fault = state.storage_fault
    board.checkpoints = checkpoints_json(state.checkpoints)


def checkpoints_json(known: Checkpoints) -> dict[str, Any]:
    blessed = known.blessed
    return {
        "declared": known.declared,
        "observed": known.observed,
        "because": known.because,
        "state": "blessed" if known.is_blessed else "on trial" if known.on_trial else "unknown",
        "looked_at": known.looked_at,
        "since": known.since,
        "clean_rounds": known.clean_rounds,
        "config_fingerprint": known.fingerprint,
        "blessed": msgspec.to_builtins(blessed) if blessed else None,
        "withdrawn": list(known.withdrawn),
        "history": [msgspec.to_builtins(spell) for spell in known.history],
    }


def incident_json(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "state": incident.state.value,
        "severity": incident.severity,
        "title": incident.title,
        "why": incident.why,
        "rules": list(incident.rules),
        "opened_at": incident.opened_at,
        "opened_wall": incident.opened_wall,
        "closed_at": incident.closed_at,
        "closed_wall": incident.closed_wall,
        "held": [{"gate": refusal.gate.value, "because": refusal.because} for refusal in incident.held],
        "recurrences": incident.recurrences,
        "actions": list(incident.actions),
    }


def action_json(action: Action) -> dict[str, Any]:
    return {
        "op_id": action.op_id,
        "incident": action.incident,
        "rule": action.rule,
        "verb": action.verb.value,
        "state": action.state.value,
        "attempt": action.attempt,
        "reason": action.reason,
        "started_at": action.started_at,
        "started_wall": action.started_wall,
        "dispatched_at": action.dispatched_at,
        "ended_at": action.ended_at,
        "ended_wall": action.ended_wall,
        "weights_before": action.digest_before,
        "weights_after": action.digest if action.read_back_at is not None else "",
        "compensates": action.compensates,
        "before": _incarnation(action.before),
        "after": _incarnation(action.after),
        "verified_by": list(action.verified_by),
        "because": action.because,
    }


def _incarnation(incarnation: Incarnation | None) -> dict[str, str] | None:
    if incarnation is None:
        return None
    return {"id": incarnation.id, "started": incarnation.started, "boot_id": incarnation.boot_id}
