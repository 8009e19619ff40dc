"""What a person orders: the same care as for a cure, no budget, no incident; and a stop that stays a stop."""

from __future__ import annotations

import pytest

from tests.remediation.scenes import drained, held_at_once, silent
from tests.remediation.stage import CLASS_A, CLASS_C, Rule, Stage, limits
from watchtower.remediation.interface import Dispatch, HoldTraffic, Participants, StorageFailed
from watchtower.remediation.proposal import ABSENT
from watchtower.vocabulary.actions import ActionState, Capabilities, Mode, ReplyKind
from watchtower.vocabulary.incidents import IncidentState, NoticeKind


def order(stage: Stage, verb: str = "restart") -> Stage:
    stage.command(verb, reason="new driver")
    return stage


def refusals(stage: Stage) -> list[str]:
    return [record.body["because"] for record in stage.records_of("command.refused")]


def gone(**changes: object) -> Stage:
    return Stage(limits(**changes), rules=[Rule("engine_gone", reading=ABSENT)])


# ── restart ─────────────────────────────────────────────────────────────────────────────────────


def test_an_ordered_restart_is_done_and_proven_without_an_incident() -> None:
    stage = order(Stage().quiet()).tick(15)
    action = stage.state.actions[-1]
    assert (action.state, action.charged, action.incident, action.rule) == (ActionState.EFFECTIVE, False, "", "")
    assert stage.effects == 1
    assert stage.state.incident is None
    assert action.verified_by == (
        f"the incarnation changed from {stage.named(1)} to {stage.named(2)}",
        f"{stage.named(2)} served a canary in 0.25 s",
    )
    assert [str(notice.kind) for notice in stage.notices] == ["acting", "result"]
    assert {notice.incident for notice in stage.notices} == {"order-engine"}


def test_it_is_on_record_who_ordered_it_and_why_before_anything_is_done() -> None:
    stage = order(silent(Stage().quiet()))
    kinds = [record.kind for record in stage.records][-3:]
    assert kinds == ["command.restart", "action.reserved", "action.intent"]
    assert stage.records[-1].body["ordered_by"] == "ann"
    assert stage.records[-1].body["plan"]["reason"] == "ann: new driver"


def test_it_needs_no_permission_of_a_mode_a_pause_or_a_budget() -> None:
    stage = Stage(limits(mode=Mode.OBSERVE, restarts_per_day=0, single_replica="refuse")).quiet()
    stage.command("pause", reason="deploy", seconds=900.0)
    assert order(stage).tick(15).effects == 1


def test_a_fleet_may_refuse_it_and_a_pause_may_not() -> None:
    stage = Stage(participants=Participants(fleet=True)).quiet()
    stage.command("pause", reason="deploy", seconds=900.0)
    stage.fleet_agrees = False
    assert order(stage).outcome() is ActionState.CANCELLED
    stage.fleet_agrees = True
    assert order(stage).tick(15).outcome() is ActionState.EFFECTIVE


def test_it_costs_no_budget_no_attempt_and_opens_no_breaker() -> None:
    stage = Stage(limits(breaker_failures=1, restarts_per_hour=1, cooldown_seconds=1), cures=False).quiet()
    stage.adapter.carries_out = False
    order(stage).tick(60)
    assert stage.outcome() is ActionState.INEFFECTIVE
    assert stage.state.breaker.because == ""
    stage.adapter.carries_out = True
    stage.breach().tick(10)
    assert stage.effects == 1, "the rule's own restart is still permitted"


def test_an_order_is_refused_while_an_action_is_under_way_and_the_other_way_round() -> None:
    stage = order(held_at_once(Stage()))
    assert refusals(stage) == [f"{stage.state.actions[-1].op_id} is under way"]
    stage = order(silent(Stage().quiet())).breach().tick(5)
    assert stage.held_by == {"other_controller"}
    assert len([action for action in stage.state.actions if not action.over]) == 1


@pytest.mark.parametrize("what", ["reason", "journal", "lease", "unknown", "unable"])
def test_an_order_that_cannot_be_carried_out_safely_is_refused_with_its_reason(what: str) -> None:
    capabilities = Capabilities() if what == "unable" else CLASS_A
    stage = Stage(capabilities=capabilities).quiet()
    match what:
        case "journal":
            stage.send(StorageFailed("disk full"))
        case "lease":
            stage.lease_held = False
            stage.evaluate()
        case "unknown":
            stage.known = False
            stage.look()
    stage.command("restart", reason="" if what == "reason" else "new driver")
    said = {
        "reason": "an order needs a reason",
        "journal": "the journal cannot be relied on: disk full",
        "lease": "another Watchtower holds the lease on this target",
        "unknown": "the engine cannot be identified: the adapter did not answer",
        "unable": "the supervisor cannot start an engine",
    }
    assert refusals(stage) == [said[what]]
    assert stage.state.actions == ()


def test_an_unclear_reply_to_an_order_is_fenced_asked_about_and_never_sent_again() -> None:
    stage = Stage(capabilities=CLASS_C).quiet()
    stage.adapter.reply, stage.adapter.carries_out = ReplyKind.UNKNOWN, False
    order(stage).tick(60)
    assert stage.outcome() is ActionState.AMBIGUOUS
    assert stage.adapter.sends.total() == 1
    assert stage.state.incident is None
    assert "did not work" in stage.notices[-1].text


def test_an_incident_that_was_held_is_watched_again_after_an_ordered_restart() -> None:
    stage = Stage(limits(mode=Mode.OBSERVE)).quiet().breach().tick(5)
    assert stage.phase() is IncidentState.HELD
    order(stage).tick(3)
    assert stage.phase() is IncidentState.RECOVERING


@pytest.mark.parametrize("at", [HoldTraffic, Dispatch], ids=lambda at: at.__name__)
def test_killed_in_the_middle_an_order_is_taken_up_and_felt_at_most_once(at: type) -> None:
    stage = Stage().quiet()
    stage.die_before = at
    order(stage).tick(60)
    assert stage.died == 1
    assert max(stage.adapter.executions.values(), default=0) <= 1
    assert stage.state.action is None
    assert not stage.holding


# ── start ───────────────────────────────────────────────────────────────────────────────────────


def test_a_first_start_names_no_incarnation_that_could_be_replaced() -> None:
    stage = Stage()
    stage.running, stage.names_the_dead = False, False
    order(stage.quiet(), "start")
    assert stage.adapter.plans[-1].expected_incarnation is None
    stage.tick(15)
    action = stage.state.actions[-1]
    assert (action.state, action.before) == (ActionState.EFFECTIVE, None)
    assert action.verified_by[0] == f"the incarnation is {stage.named(2)}"


def test_an_engine_that_runs_already_is_not_started() -> None:
    stage = order(Stage().quiet(), "start")
    assert refusals(stage) == [f"{stage.named(1)} runs already"]


def test_a_start_that_came_too_late_because_one_runs_after_all_is_not_sent() -> None:
    stage = Stage()
    stage.running, stage.names_the_dead = False, False
    order(silent(stage.quiet()), "start")
    stage.running = True
    stage.look()
    assert drained(stage).adapter.sends.total() == 0
    assert stage.outcome() is ActionState.CANCELLED


# ── stop ────────────────────────────────────────────────────────────────────────────────────────


def test_a_stopped_engine_is_no_trouble_and_nothing_is_cured() -> None:
    stage = order(gone().quiet(), "stop")
    assert stage.stops == ["new driver"]
    stage.kill_engine().tick(100)
    assert stage.state.incident is None
    assert stage.effects == 0
    assert [notice.kind for notice in stage.notices] == [NoticeKind.ACTING]


def test_without_the_stop_the_same_death_is_cured() -> None:
    assert gone().quiet().kill_engine().tick(5).effects == 1


def test_a_stop_survives_any_number_of_restarts() -> None:
    stage = order(gone().quiet(), "stop").kill_engine().tick()
    for _ in range(3):
        stage.crash()
        stage.tick(60)
    assert stage.state.stopped is not None
    assert (stage.effects, stage.state.incident) == (0, None)


def test_a_stop_that_was_lost_with_watchtower_is_asked_for_once_more_and_of_nobody_else() -> None:
    stage = order(Stage().quiet(), "stop")
    stage.crash()
    stage.tick(3)
    assert stage.stops == ["new driver", "new driver"]
    stage.restart_engine()
    stage.crash()
    stage.tick(3)
    assert len(stage.stops) == 2, "another incarnation runs: somebody started it"
    assert stage.state.stopped is None
    assert stage.records_of("command.stop_ended")


def test_whatever_else_fires_waits_while_a_stop_stands() -> None:
    stage = order(Stage().quiet(), "stop").breach().tick(400)
    assert stage.held_by == {"other_controller"}
    assert stage.phase() is IncidentState.HELD, "a person chose it: no other person is called"
    assert stage.effects == 0


def test_a_start_ends_the_stop() -> None:
    stage = order(gone().quiet(), "stop").kill_engine().tick(30)
    order(stage, "start").tick(15)
    assert stage.state.stopped is None
    assert stage.outcome() is ActionState.EFFECTIVE
    stage.kill_engine().tick(40)
    assert stage.effects == 2, "from here on a death is trouble again"


def test_a_second_stop_is_refused_with_the_author_of_the_first() -> None:
    stage = order(order(Stage().quiet(), "stop"), "stop")
    assert refusals(stage) == ["ann stopped it already: new driver"]
