"""The machine's committed state as the JSON of the API. Shapes only; nothing is decided, nothing is left out."""

from __future__ import annotations

from typing import Any

import msgspec

from watchtower.remediation.checkpoint_registry import Checkpoints
from watchtower.remediation.state import Action, Incident, Pause
from watchtower.vocabulary.actions import Incarnation


def pause_json(pause: Pause) -> dict[str, Any]:
    return {"author": pause.author, "reason": pause.reason, "until_wall": pause.until_wall}


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
