"""State outlives the program that wrote it: every release's snapshots are read, and their actions taken up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.remediation.scenes import RESTS, SCENES, SNAPSHOTS
from tests.remediation.stage import Stage, limits
from watchtower.remediation.decision import decide
from watchtower.remediation.interface import Dispatch, HoldTraffic, ReleaseTraffic, Started
from watchtower.remediation.snapshots import MIGRATIONS, decode, encode
from watchtower.remediation.state import SCHEMA, TargetState
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.actions import BEFORE_SENDING, TERMINAL_ACTIONS, ActionState, Verb
from watchtower.vocabulary.errors import StorageFault
from watchtower.vocabulary.incidents import IncidentState
from watchtower.vocabulary.readings import Severity

GOLDEN = sorted(SNAPSHOTS.glob("schema-*/*.json"))


def golden(schema: int, name: str) -> dict[str, Any]:
    stored: dict[str, Any] = msgspec.json.decode((SNAPSHOTS / f"schema-{schema}" / f"{name}.json").read_bytes())
    return stored


def lived() -> TargetState:
    """A state with everything in it."""
    stage = Stage().acting()
    stage.until(IncidentState.RESOLVED)
    stage.command("pause", reason="deploy", seconds=900.0)
    return stage.breach().tick(5).state


def restarted(state: TargetState) -> Stage:
    """The daemon of this version on that state, five minutes later on the same host."""
    stage = Stage()
    stage.clock = HandClock(boot=state.moment + 300, boot_id=state.boot_id or "test-boot")
    stage.state = state
    stage.adapter.answers = False
    stage.send(Started())
    return stage


# ── this version's own ──────────────────────────────────────────────────────────────────────────


def test_a_snapshot_reads_back_as_it_was_written() -> None:
    state = lived()
    assert decode(encode(state)) == state


@pytest.mark.parametrize("scene", SCENES)
def test_every_situation_reads_back_as_it_was_written(scene: str) -> None:
    state = SCENES[scene]().state
    assert decode(encode(state)) == state


def test_every_state_that_an_action_can_be_found_in_has_its_scene() -> None:
    reached = {state.actions[-1].state for scene in SCENES.values() if (state := scene().state).actions}
    assert reached == RESTS


@pytest.mark.parametrize("damage", [b"", b"{", b"null", b"[]", b'{"target": 5}', b"\xff\xfe", b"{}"])
def test_what_cannot_be_read_is_a_fault_and_never_an_empty_memory(damage: bytes) -> None:
    with pytest.raises(StorageFault):
        decode(damage)


def test_every_truncation_of_a_snapshot_is_a_fault() -> None:
    snapshot = encode(lived())
    for length in range(0, len(snapshot), 7):
        with pytest.raises(StorageFault):
            decode(snapshot[:length])


# ── earlier releases ────────────────────────────────────────────────────────────────────────────


def test_there_is_a_migration_from_every_earlier_schema_and_snapshots_of_all() -> None:
    assert list(MIGRATIONS) == list(range(1, SCHEMA))
    assert {path.parent.name for path in GOLDEN} == {f"schema-{number}" for number in range(1, SCHEMA + 1)}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_snapshot_of_any_release_is_read_and_nothing_of_it_is_lost(path: Path) -> None:
    stored = msgspec.json.decode(path.read_bytes())
    state = decode(path.read_bytes())
    assert state.schema == SCHEMA
    assert state.adapted == ()
    now = msgspec.json.decode(encode(state))
    renamed = {"schema", "lease_held", "blind_told", "incident", "recent", "actions"}
    assert {name: value for name, value in stored.items() if name not in renamed} == {
        name: now[name] for name in stored if name not in renamed
    }
    assert [action.op_id for action in state.actions] == [old["op_id"] for old in stored["actions"]]
    assert [action.charged for action in state.actions] == [old["charged"] for old in stored["actions"]]
    assert [action.rule for action in state.actions] == [
        old["rule"] if "rule" in old else old["origin"].get("name") if old["origin"]["type"] == "rule" else ""
        for old in stored["actions"]
    ]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_an_earlier_release_had_under_way_is_taken_up_and_never_sent_again(path: Path) -> None:
    state = decode(path.read_bytes())
    stage = restarted(state)
    if state.action is None:
        assert stage.state.action is None
    else:
        assert stage.state.actions[-1].op_id == state.action.op_id
        assert stage.state.actions[-1].state in TERMINAL_ACTIONS | {
            ActionState.RECONCILE,
            ActionState.ACKED,
            ActionState.VERIFYING,
        }
    stage.tick(300)
    assert not any(isinstance(effect, Dispatch) for effect in stage.log)
    assert stage.state.action is None, "whatever was under way ends"
    last = [effect for effect in stage.log if isinstance(effect, HoldTraffic | ReleaseTraffic)][-1:]
    assert all(isinstance(effect, ReleaseTraffic) for effect in last), "and nobody waits for ever"


def test_the_lease_the_intent_and_the_notices_of_schema_1_keep_their_meaning() -> None:
    assert decode(msgspec.json.encode(golden(1, "lease-lost"))).lease is None
    assert decode(msgspec.json.encode(golden(1, "idle"))).holds_lease(0.0)
    assert decode(msgspec.json.encode(golden(1, "action-intent"))).actions[-1].state is ActionState.HOLDING
    assert decode(msgspec.json.encode(golden(1, "blind"))).blind_notified
    held = decode(msgspec.json.encode(golden(1, "held"))).incident
    assert held is not None and "held" in held.notified


def test_an_incident_of_schema_1_goes_on_where_it_was() -> None:
    old = golden(1, "escalated")
    assert restarted(decode(msgspec.json.encode(old))).phase() is IncidentState.ESCALATED


# ── later releases ──────────────────────────────────────────────────────────────────────────────


def changed(name: str, **changes: Any) -> bytes:
    return msgspec.json.encode(golden(SCHEMA, name) | changes)


def test_a_snapshot_of_a_later_schema_is_refused_with_what_to_do() -> None:
    with pytest.raises(StorageFault, match=r"newer Watchtower wrote.*schema 3.*up to 2.*run that version"):
        decode(changed("idle", schema=3))


def test_fields_of_a_later_release_are_passed_over() -> None:
    stored = golden(SCHEMA, "action-acked")
    stored["actions"][-1]["colour"] = "blue"
    state = decode(msgspec.json.encode(stored | {"weather": {"wind": 3}}))
    assert state == decode(changed("action-acked"))


def with_action(name: str, **changes: Any) -> bytes:
    stored = golden(SCHEMA, name)
    stored["actions"][-1] |= changes
    return msgspec.json.encode(stored)


def test_an_unknown_state_of_an_action_under_way_is_fenced_and_asked_about() -> None:
    state = decode(with_action("action-acked", state="rebalancing"))
    assert state.actions[-1].state is ActionState.RECONCILE
    assert state.adapted == ("state 'rebalancing' is not known here; read as reconcile",)


def test_an_unknown_end_of_an_action_counts_as_one_that_nobody_can_tell() -> None:
    state = decode(with_action("action-rejected", state="delegated"))
    assert state.actions[-1].state is ActionState.AMBIGUOUS
    assert state.actions[-1].charged


def test_an_unknown_verb_that_is_over_counts_as_the_costliest_restart() -> None:
    assert decode(with_action("action-effective", verb="evict")).actions[-1].verb is Verb.RESTART_HOST


def test_an_unknown_verb_under_way_is_refused_in_words() -> None:
    with pytest.raises(StorageFault, match=r"\(evict\) is under way, and this version does not know that verb"):
        decode(with_action("action-acked", verb="evict"))


def test_an_unknown_state_of_the_incident_waits_for_a_person() -> None:
    stored = golden(SCHEMA, "held")
    stored["incident"]["state"] = "delegated"
    state = decode(msgspec.json.encode(stored))
    assert state.incident is not None and state.incident.state is IncidentState.ESCALATED


def test_an_unknown_severity_of_the_incident_is_the_worst() -> None:
    stored = golden(SCHEMA, "held")
    stored["incident"]["severity"] = "catastrophe"
    state = decode(msgspec.json.encode(stored))
    assert state.incident is not None and state.incident.severity == Severity.PAGE
    assert any("catastrophe" in said for said in state.adapted)


def test_an_unknown_reason_to_hold_is_left_out_and_every_gate_is_asked_anew() -> None:
    stored = golden(SCHEMA, "held")
    stored["incident"]["held"].append({"gate": "moon_phase", "because": "it is full"})
    state = decode(msgspec.json.encode(stored))
    assert state.incident is not None
    assert "moon_phase" not in {str(refusal.gate) for refusal in state.incident.held}
    assert state.incident.held


def test_what_was_adapted_is_on_record_at_the_start_and_then_forgotten() -> None:
    state = decode(with_action("action-acked", state="rebalancing"))
    after, effects = decide(state, Started(), HandClock().now(), limits(), Stage().capabilities)
    started = next(effect for effect in effects if getattr(effect, "kind", "") == "watchtower.started")
    assert "rebalancing" in started.body["adapted"][0]  # type: ignore[union-attr]
    assert after.adapted == ()


def test_nothing_before_sending_is_ever_resumed_as_if_it_had_been_sent() -> None:
    for name in ("action-awaiting-approval", "action-reserving"):
        action = restarted(decode(changed(name))).state.actions[-1]
        assert (action.state, action.charged) == (ActionState.CANCELLED, False)
    for name in ("action-holding", "action-collecting"):
        assert decode(changed(name)).actions[-1].state in BEFORE_SENDING
        assert restarted(decode(changed(name))).state.actions[-1].state is ActionState.RECONCILE
