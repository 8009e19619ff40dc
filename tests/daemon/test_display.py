"""What is shown of the machine's committed state, of one evaluation, and of sinks."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.services.meaning.scene import an_incident
from watchtower.daemon.display import DaemonDisplay, show_evaluation, sink_health
from watchtower.ports import Delivery
from watchtower.remediation.state import Pause, TargetState
from watchtower.services.delivering.deliveries import SinkChannel
from watchtower.services.judging.evaluation import Evaluation
from watchtower.settings import Settings
from watchtower.sinks.delivery import retry
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.incidents import IncidentState, Notice


@pytest.fixture
def display() -> DaemonDisplay:
    return DaemonDisplay(Settings(), HandClock())


def test_an_incident_that_may_come_back_is_shown_once(display: DaemonDisplay) -> None:
    incident = an_incident("inc-2", "slow_tokens")
    earlier = an_incident("inc-1", "slow_tokens", state=IncidentState.CLEAR)
    resolved = replace(incident, state=IncidentState.CLEAR)
    display.after_commit(TargetState(target="engine", incident=incident, recent=(resolved, earlier)))
    assert [(shown["id"], shown["state"]) for shown in display.board.incidents] == [
        ("inc-2", "open"),
        ("inc-1", "clear"),
    ]


def test_what_is_over_is_taken_off(display: DaemonDisplay) -> None:
    pause = Pause(author="ann", reason="deploying", since=1.0, until=2.0, until_wall=2.0)
    display.after_commit(TargetState(target="engine", incident=an_incident("inc-1"), pause=pause, storage_fault="full"))
    assert display.board.paused == {"author": "ann", "reason": "deploying", "until_wall": 2.0}
    display.after_commit(TargetState(target="engine"))
    board = display.board
    assert (board.incident, board.incidents, board.paused, board.storage_fault) == (None, [], None, "")


def test_evaluations_are_counted_and_their_latency_is_kept_in_order(display: DaemonDisplay) -> None:
    clock = HandClock()
    for p95 in (0.03, None):
        show_evaluation(
            display.board,
            Evaluation(
                at=clock.advance(1.0),
                readings=(),
                verdicts=(),
                inter_token_p95=p95,
                histograms={},
                gpus={},
                lag_seconds=0.5,
                took_seconds=0.001,
            ),
        )
    board = display.board
    assert (board.ticks, board.last_tick) == (2, clock.now())
    assert [p95 for _, p95 in board.latency] == [0.03, None]
    assert (board.loop_lag_seconds, board.evaluation_seconds) == (0.5, 0.001)


class Hook:
    name = "hook"

    async def send(self, notice: Notice, attempt: int) -> Delivery:
        return retry("refused")

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(("because", "gone", "up"), [("", False, True), ("HTTP 503", False, False), ("", True, False)])
def test_a_sink_is_up_while_its_newest_attempt_went_well_and_it_was_not_sent_away(
    because: str, gone: bool, up: bool
) -> None:
    channel = SinkChannel(Hook(), sent=5, failed=2, because=because, gone=gone)
    health = sink_health({"hook": channel})["hook"]
    assert (health.ok, health.failed, health.up, health.fallbacks) == (5, 2, up, 0)
