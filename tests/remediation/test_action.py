"""One cure, from intent to reply: what is recorded before what, and what an adapter can do to us."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.remediation.stage import CLASS_A, CLASS_C, Rule, Stage, limits
from watchtower.remediation.interface import (
    Canaried,
    Dispatch,
    Drained,
    ExecuteReplied,
    HoldTraffic,
    Record,
    ReleaseTraffic,
    SendCanary,
    StorageFailed,
)
from watchtower.vocabulary.actions import ActionState, Reply, ReplyKind
from watchtower.vocabulary.facts import CanaryEnded, CanaryOutcome
from watchtower.vocabulary.incidents import IncidentState, NoticeKind
from watchtower.vocabulary.readings import Reading, RuleVerdict


def steps(stage: Stage) -> list[str]:
    """Records and effects of the actions, in the order they were asked for."""
    names = []
    for effect in stage.log:
        if isinstance(effect, Record) and effect.kind.startswith("action."):
            names.append(effect.kind)
        elif isinstance(effect, HoldTraffic | Dispatch | ReleaseTraffic | SendCanary):
            names.append(type(effect).__name__)
    return names


def silent(stage: Stage) -> Stage:
    """The adapter takes what it is given and nothing ever comes back."""
    stage.adapter.answers = False
    return stage


# ── the way it should go ────────────────────────────────────────────────────────────────────────


def test_intent_is_recorded_before_the_hold_and_the_dispatch_before_the_call() -> None:
    stage = Stage().acting()
    stage.until(IncidentState.RECOVERING)
    assert steps(stage) == [
        "action.reserved",
        "action.intent",
        "HoldTraffic",
        "action.dispatched",
        "Dispatch",
        "action.acked",
        "SendCanary",
        "action.verifying",
        "ReleaseTraffic",
        "action.effective",
    ]


def test_the_plan_names_the_incarnation_the_reason_and_the_latest_start() -> None:
    stage = Stage().acting()
    (plan,) = stage.adapter.plans
    assert plan.expected_incarnation == stage.named(1)
    assert plan.reason.startswith(f"{stage.incident.id}: slow_tokens")
    assert plan.not_after == stage.clock.now().boot + 2 * stage.settings.execute_seconds
    assert plan.op_id.startswith("op-")
    assert plan.op_id in stage.incident.actions
    intent = next(record for record in stage.records if record.kind == "action.intent")
    assert intent.body["plan"]["op_id"] == plan.op_id


def test_open_answers_may_finish_first_when_tokens_still_flow() -> None:
    stage = Stage().acting()
    assert [effect.drain for effect in stage.log if isinstance(effect, HoldTraffic)] == [True]


def test_nobody_waits_for_answers_of_a_hung_engine() -> None:
    stage = Stage(rules=[Rule("hang", reading="token_progress.stalled")]).acting()
    assert [effect.drain for effect in stage.log if isinstance(effect, HoldTraffic)] == [False]


class SlowOrHung(Rule):
    """Asks whether tokens stopped besides, and nobody knows."""

    def says(self, now: float) -> RuleVerdict:
        said, over = super().says(now), self.over
        stalled = Reading(name="token_progress.stalled", over=over, at=now, value=None)
        return msgspec.structs.replace(said, readings=(*said.readings, stalled))


def test_answers_of_an_engine_that_nobody_knows_to_be_hung_may_finish_first() -> None:
    stage = Stage(rules=[SlowOrHung()]).acting()
    assert [effect.drain for effect in stage.log if isinstance(effect, HoldTraffic)] == [True]


def test_only_one_action_at_a_time_however_many_rules_fire() -> None:
    stage = silent(Stage(rules=[Rule("a"), Rule("b"), Rule("c")])).acting().tick(10)
    assert stage.kinds("action.intent") == ["action.intent"]
    assert sum(not action.over for action in stage.state.actions) == 1


def test_people_hear_that_something_is_done_and_how_it_went() -> None:
    stage = Stage().acting()
    stage.until(IncidentState.RESOLVED)
    assert [str(notice.kind) for notice in stage.notices] == ["opened", "acting", "result", "resolved"]
    assert len({notice.id for notice in stage.notices}) == 4
    assert len({notice.incident for notice in stage.notices}) == 1


# ── between hold and dispatch ───────────────────────────────────────────────────────────────────


def held(stage: Stage) -> Stage:
    """INTENT is durable, the traffic is about to be drained, nothing was sent."""
    silent(stage).acting()
    assert stage.outcome() is ActionState.HOLDING
    return stage


def drain(stage: Stage) -> None:
    stage.send(Drained(stage.state.actions[-1].op_id, 2))


def test_drained_traffic_is_what_sends_the_plan() -> None:
    stage = held(Stage())
    drain(stage)
    assert stage.outcome() is ActionState.DISPATCHED
    assert stage.state.actions[-1].because == "2 exchanges still open"


@pytest.mark.parametrize("what", ["unknown", "gone", "changed", "storage", "lease", "late"])
def test_a_plan_that_no_longer_fits_is_cancelled_and_its_budget_given_back(what: str) -> None:
    stage = held(Stage(limits(execute_seconds=2)))
    match what:
        case "unknown":
            stage.known = False
            stage.look()
        case "gone":
            stage.running = False
            stage.look()
        case "changed":
            stage.restart_engine()
            stage.look()
        case "storage":
            stage.send(StorageFailed("disk full"))
        case "lease":
            stage.lease_held = False
            stage.evaluate()
        case "late":
            stage.clock.advance(5)
    drain(stage)
    action = stage.state.actions[-1]
    assert (action.state, action.charged) == (ActionState.CANCELLED, False)
    assert stage.adapter.sends.total() == 0
    assert isinstance(
        [effect for effect in stage.log if isinstance(effect, HoldTraffic | ReleaseTraffic)][-1], ReleaseTraffic
    )


def test_traffic_that_never_drains_cancels_the_action() -> None:
    stage = held(Stage())
    stage.tick(21)
    assert stage.outcome() is ActionState.CANCELLED
    assert stage.state.cooldown_from is not None
    assert stage.phase() is IncidentState.HELD


def test_a_pause_does_not_interrupt_what_is_under_way() -> None:
    stage = held(Stage())
    stage.command("pause", reason="deploy", seconds=600.0)
    drain(stage)
    assert stage.adapter.sends.total() == 1


def test_a_rule_that_recovers_under_way_does_not_start_a_second_thought() -> None:
    stage = held(Stage()).well().tick(5)
    assert stage.phase() is IncidentState.ACTING


# ── replies ─────────────────────────────────────────────────────────────────────────────────────


def test_a_refusal_before_any_effect_releases_the_traffic_and_counts_as_an_attempt() -> None:
    stage = Stage()
    stage.adapter.reply, stage.adapter.carries_out = ReplyKind.REJECTED, False
    stage.acting()
    action = stage.state.actions[-1]
    assert (action.state, action.charged) == (ActionState.REJECTED, True)
    assert not stage.holding
    assert stage.phase() is IncidentState.HELD
    stage.tick(1)
    assert stage.held_by == {"cooldown"}


def test_refusals_without_end_end_with_a_person() -> None:
    stage = Stage(limits(hold_deadline_seconds=10_000))
    stage.adapter.reply, stage.adapter.carries_out = ReplyKind.REJECTED, False
    stage.acting()
    stage.until(IncidentState.ESCALATED, within=2000)
    assert stage.adapter.sends.total() == 4
    assert stage.effects == 0


def test_a_refusal_that_was_a_lie_is_an_execution() -> None:
    stage = Stage()
    stage.adapter.reply = ReplyKind.REJECTED
    stage.adapter.answers = False
    stage.acting()
    drain(stage)
    stage.look()
    stage.send(ExecuteReplied(stage.state.actions[-1].op_id, Reply(ReplyKind.REJECTED)))
    assert stage.state.actions[-1].charged
    stage.until(IncidentState.RECOVERING)
    assert stage.outcome() is ActionState.EFFECTIVE


@pytest.mark.parametrize("state", ["before", "after"])
def test_late_duplicate_and_foreign_replies_change_nothing_and_are_on_record(state: str) -> None:
    stage = Stage().acting() if state == "before" else Stage().acting().tick(200)
    op_id = stage.state.actions[-1].op_id
    untouched = stage.state
    for reply in (
        ExecuteReplied(op_id, Reply(ReplyKind.REJECTED)),
        ExecuteReplied("op-strange", Reply(ReplyKind.ACKED)),
    ):
        stage.send(reply)
        stage.send(Drained(op_id, 0))
    assert stage.state == untouched
    assert stage.kinds("action.ignored") == ["action.ignored"] * 4


def test_no_reply_at_all_is_an_unknown_outcome() -> None:
    stage = Stage()
    stage.adapter.carries_out = False
    held(stage)
    drain(stage)
    stage.tick(22)
    assert stage.outcome() is ActionState.RECONCILE


# ── the new incarnation ─────────────────────────────────────────────────────────────────────────


def test_an_ack_without_a_new_incarnation_is_not_effective() -> None:
    stage = Stage(cures=False)
    stage.adapter.carries_out = False
    stage.acting().well().tick(42)
    action = stage.state.actions[-1]
    assert action.state is ActionState.INEFFECTIVE
    assert "was never replaced" in action.because


def test_a_new_incarnation_that_serves_no_canary_is_not_effective() -> None:
    stage = Stage()
    stage.canary = CanaryOutcome.HUNG
    stage.acting().tick(42)
    action = stage.state.actions[-1]
    assert action.state is ActionState.INEFFECTIVE
    assert "served no canary" in action.because


def test_no_canary_is_sent_before_the_engine_says_that_it_serves() -> None:
    stage = Stage()
    stage.serving = False
    stage.acting().tick(10)
    assert stage.canaries == []
    assert stage.holding


def test_a_canary_that_began_before_the_new_incarnation_was_seen_proves_nothing() -> None:
    stage = Stage()
    stage.canary = CanaryOutcome.HUNG
    stage.acting().tick(5)
    seen_at = stage.state.actions[-1].after_seen_at
    assert seen_at is not None
    stale: dict[str, Any] = {"at": seen_at + 1, "id": "old", "outcome": CanaryOutcome.SERVED, "seconds": 0.1}
    stage.send(Canaried(CanaryEnded(started_at=seen_at - 0.1, **stale)))
    assert stage.outcome() is ActionState.ACKED
    stage.send(Canaried(CanaryEnded(started_at=seen_at, **stale)))
    assert stage.outcome() is ActionState.VERIFYING


def test_an_engine_that_restarts_again_on_the_way_up_must_prove_itself_anew() -> None:
    stage = Stage()
    stage.canary = CanaryOutcome.HUNG
    stage.acting().tick(3)
    stage.restart_engine()
    stage.tick(1)
    action = stage.state.actions[-1]
    assert action.after == stage.incarnation
    assert action.after_seen_at == stage.clock.now().boot


def test_a_canary_nobody_asked_for_is_no_event() -> None:
    stage = Stage().quiet()
    before = stage.state
    stage.send_canary()
    assert stage.state == before


# ── the rest of the story ───────────────────────────────────────────────────────────────────────


def test_after_one_failed_rung_the_next_is_tried_and_then_a_person_is_called() -> None:
    stage = Stage(limits(attempts_per_rung=1, hold_deadline_seconds=10_000), cures=False).acting()
    stage.until(IncidentState.ESCALATED, within=1000)
    assert [str(plan.verb) for plan in stage.adapter.plans] == ["restart_group", "restart_host"]
    assert stage.notices_of(NoticeKind.ESCALATED)[0].text.count("no attempt is left") == 1


def test_the_limits_an_action_began_under_hold_for_it_to_its_end() -> None:
    stage = Stage(limits(stabilization_seconds=30)).acting()
    stage.settings = limits(stabilization_seconds=1)
    stage.tick(20)
    assert stage.outcome() is ActionState.VERIFYING


@pytest.mark.parametrize("capabilities", [CLASS_A, CLASS_C], ids=["durable", "forgetful"])
def test_an_adapter_that_never_answers_cannot_keep_the_machine_waiting(capabilities: Any) -> None:
    stage = silent(Stage(limits(hold_deadline_seconds=300), capabilities))
    stage.adapter.carries_out = False
    stage.acting()
    drain(stage)
    stage.until(IncidentState.ESCALATED, within=400)
    assert stage.adapter.sends.total() == 1
