"""Every situation that remediation can be found in, each reached through the machine itself.

``python -m tests.remediation.scenes`` writes one snapshot of each into ``snapshots/schema-<n>``, to be kept with the
release that has this schema. A snapshot that was written once is never written again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.remediation.stage import CLASS_C, Rule, Stage, limits
from watchtower.remediation.interface import Drained, Participants, StorageFailed
from watchtower.remediation.proposal import ABSENT
from watchtower.remediation.snapshots import encode
from watchtower.remediation.state import SCHEMA
from watchtower.vocabulary.actions import ActionState, Cure, Mode, ReplyKind, Verb
from watchtower.vocabulary.facts import CanaryOutcome
from watchtower.vocabulary.incidents import IncidentState
from watchtower.vocabulary.readings import Verdict

SNAPSHOTS = Path(__file__).with_name("snapshots")
EVERYBODY = Participants(approver=True, fleet=True, collector=True)


def silent(stage: Stage) -> Stage:
    stage.adapter.answers = False
    return stage


def refusing(stage: Stage, reply: ReplyKind = ReplyKind.REJECTED) -> Stage:
    """Nothing is ever carried out."""
    stage.adapter.reply, stage.adapter.carries_out = reply, False
    return stage


def drained(stage: Stage) -> Stage:
    stage.send(Drained(stage.state.actions[-1].op_id, 2))
    return stage


def drifted(stage: Stage | None = None, **changes: Any) -> Stage:
    """Blessed weights served for a while; then others are loaded into the running engine."""
    stage = stage or Stage(limits(**changes), rules=[Rule("meaning_drift", cure=Cure.ROLLBACK)])
    return stage.blessed().drift()


def ends(stage: Stage, state: IncidentState) -> Stage:
    stage.until(state)
    return stage


def held_at_once(stage: Stage) -> Stage:
    """An action in HOLDING."""
    return silent(stage).acting()


def dispatched(stage: Stage) -> Stage:
    stage.adapter.carries_out = False
    return drained(held_at_once(stage))


def acked() -> Stage:
    stage = Stage()
    stage.canary = CanaryOutcome.HUNG
    return stage.acting().tick(2)


def dead() -> Stage:
    stage = silent(Stage(rules=[Rule("engine_gone", reading=ABSENT)]).quiet())
    return stage.kill_engine().tick(3)


def opened() -> Stage:
    stage = ends(refusing(Stage(limits(hold_deadline_seconds=20), cures=False)).acting(), IncidentState.ESCALATED)
    stage.command("ack_resume", reason="looked at it")
    return stage


def commanded(verb: str, stage: Stage | None = None, **more: Any) -> Stage:
    stage = stage or Stage().quiet()
    stage.command(verb, reason="deploy", **more)
    return stage


def storage_fault() -> Stage:
    stage = Stage().quiet()
    stage.send(StorageFailed("disk full"))
    return stage


def lease_lost() -> Stage:
    stage = Stage().quiet()
    stage.lease_held = False
    return stage.tick(2)


def blind() -> Stage:
    stage = Stage().quiet()
    stage.rule.verdict = Verdict.UNKNOWN
    return stage.tick(40)


def rolling_back() -> Stage:
    return silent(drifted().tick(2)).tick()


def rollback_dispatched() -> Stage:
    stage = rolling_back()
    stage.adapter.carries_out = False
    return drained(stage)


def rollback_acked() -> Stage:
    stage = drifted()
    stage.canary = CanaryOutcome.HUNG
    return stage.tick(3)


def inconclusive() -> Stage:
    stage = rollback_acked()
    stage.restart_engine()
    return stage.tick()


def compensating(**changes: Any) -> Stage:
    """A rollback fails half-way; the restart that makes up for it works."""
    stage = drifted(**changes)
    real = stage.execute

    def execute(plan: Any) -> None:
        rollback = plan.verb is Verb.ROLLBACK
        stage.adapter.reply = ReplyKind.FAILED if rollback else ReplyKind.ACKED
        stage.adapter.carries_out = not rollback
        real(plan)

    stage.execute = execute  # type: ignore[method-assign]
    return stage


def compensation() -> Stage:
    """Under way, and not proven yet."""
    stage = compensating()
    stage.canary = CanaryOutcome.REFUSED
    return stage.tick(3)


def awaiting_approval() -> Stage:
    return Stage(limits(mode=Mode.APPROVE), participants=Participants(approver=True)).acting()


def reserving() -> Stage:
    return held_at_once(Stage(participants=Participants(fleet=True)))


def collecting() -> Stage:
    return drained(held_at_once(Stage(participants=Participants(collector=True))))


def unclear(stage: Stage) -> Stage:
    return refusing(stage, ReplyKind.UNKNOWN).acting()


SCENES: dict[str, Callable[[], Stage]] = {
    "never-started": Stage,
    "idle": lambda: Stage().quiet(),
    "blessed": lambda: Stage().blessed(),
    "suspect": lambda: Stage().quiet().breach().tick(1),
    "opened": opened,
    "held": lambda: Stage(limits(mode=Mode.OBSERVE)).quiet().breach().tick(5),
    "held-for-approval": lambda: Stage(limits(mode=Mode.APPROVE)).quiet().breach().tick(5),
    "action-awaiting-approval": awaiting_approval,
    "action-reserving": reserving,
    "action-holding": lambda: held_at_once(Stage()),
    "action-collecting": collecting,
    "action-dispatched": lambda: dispatched(Stage()),
    "action-acked": acked,
    "action-verifying": lambda: ends(Stage().acting(), IncidentState.VERIFYING),
    "action-reconcile": lambda: unclear(Stage(capabilities=CLASS_C)).tick(2),
    "action-effective": lambda: ends(Stage().acting(), IncidentState.RECOVERING),
    "action-ineffective": lambda: ends(Stage(cures=False).acting(), IncidentState.HELD),
    "action-inconclusive": inconclusive,
    "action-harmful": lambda: refusing(drifted(restarts_per_day=0), ReplyKind.FAILED).tick(3),
    "action-rejected": lambda: refusing(Stage()).acting(),
    "action-not-executed": lambda: unclear(Stage()),
    "action-cancelled": lambda: held_at_once(Stage()).tick(21),
    "action-ambiguous": lambda: ends(unclear(Stage(capabilities=CLASS_C)), IncidentState.ESCALATED),
    "replaces-the-dead": dead,
    "escalated": lambda: ends(
        Stage(limits(attempts_per_rung=1, attempts_per_incident=1), cures=False).acting(), IncidentState.ESCALATED
    ),
    "paused": lambda: commanded("pause", seconds=600.0),
    "breaker-open": lambda: ends(Stage(limits(breaker_failures=1), cures=False).acting(), IncidentState.HELD),
    "storage-fault": storage_fault,
    "lease-lost": lease_lost,
    "blind": blind,
    "resolved": lambda: ends(Stage().acting(), IncidentState.RESOLVED),
    "recurring": lambda: ends(Stage().acting(), IncidentState.RESOLVED).breach().tick(4),
    "rollback-holding": rolling_back,
    "rollback-dispatched": rollback_dispatched,
    "rollback-acked": rollback_acked,
    "rollback-verifying": lambda: ends(drifted(), IncidentState.VERIFYING),
    "rollback-effective": lambda: ends(drifted(), IncidentState.RECOVERING),
    "compensation": compensation,
    "stopped": lambda: commanded("stop"),
    "ordered-restart": lambda: commanded("restart", silent(Stage().quiet())),
}
"""By the name of the snapshot."""

RESTS = frozenset(ActionState) - {
    ActionState.WOULD_ACT,
    ActionState.PLANNED,
    ActionState.RESERVED,
    ActionState.INTENT,
}
"""States that an action can be found in: all but those that are only passed within one step, or on record."""


def main() -> None:
    directory = SNAPSHOTS / f"schema-{SCHEMA}"
    directory.mkdir(parents=True, exist_ok=True)
    for name, scene in SCENES.items():
        path = directory / f"{name}.json"
        if not path.exists():
            path.write_bytes(encode(scene().state) + b"\n")


if __name__ == "__main__":
    main()
