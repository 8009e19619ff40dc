"""The parts of a real daemon, connected: what one publishes the others know, and what they know is shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.services.meaning.scene import an_incident
from watchtower.daemon.building import build
from watchtower.daemon.display import DaemonDisplay
from watchtower.daemon.parts import Parts
from watchtower.remediation.state import TargetState
from watchtower.services.loading import load
from watchtower.services.persisting.state_directory import open_storage
from watchtower.tasks import TaskGroup
from watchtower.testing.clock import HandClock
from watchtower.vocabulary.actions import Incarnation
from watchtower.vocabulary.errors import Refused
from watchtower.vocabulary.facts import EngineSeen, RelayFrame
from watchtower.vocabulary.records import Entry

FRAME = RelayFrame(at=1000.0, worker=0, pid=77, sequence=1, open_exchanges=3, counters={"requests": 5})
LOOK = EngineSeen(at=1000.0, known=True, incarnation=Incarnation("4711", "1", "boot"), serving=True, version="0.32")


class Daemon:
    def __init__(self, parts: Parts, display: DaemonDisplay) -> None:
        self.parts = parts
        self.display = display
        self.board = display.board

    def tick(self) -> None:
        self.display.after_tick(self.parts.pipeline.tick(), self.parts)


@pytest_asyncio.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    loaded = load(None, {}, {"state_directory": str(tmp_path / "state")})
    clock = HandClock()
    tasks = TaskGroup(clock.sleep)
    async with AsyncExitStack() as stack:
        storage = open_storage(loaded.settings, stack)
        display = DaemonDisplay(loaded.settings, clock)
        yield Daemon(await build(loaded, storage, display, clock, tasks, stack), display)
        await tasks.stop()


async def test_a_fact_reaches_everybody_who_decides_while_the_board_is_still_empty(daemon: Daemon) -> None:
    daemon.parts.facts.publish(FRAME)
    daemon.parts.facts.publish(LOOK)
    assert daemon.board.relay_frames == {} and daemon.board.engine is None
    assert daemon.parts.readiness.because() == ""
    assert daemon.parts.roster.frames() == [FRAME]
    assert daemon.parts.sight.newest == LOOK
    assert daemon.parts.runner.events_waiting.qsize() == 1, "the machine hears of the look"


async def test_what_services_know_is_shown_after_the_tick(daemon: Daemon) -> None:
    daemon.tick()
    assert daemon.board.ready_because == "no relay worker has reported yet"
    daemon.parts.facts.publish(FRAME)
    daemon.parts.facts.publish(LOOK)
    daemon.parts.tally.count([Entry("incident.open", {"from": "suspect"})])
    daemon.tick()
    board = daemon.board
    assert (board.ready_because, board.ticks) == ("", 2)
    assert board.relay_frames == {77: FRAME} and board.relay_counts["requests"] == 5
    assert board.engine == LOOK and board.incidents_opened == 1
    assert board.verdicts == daemon.parts.pipeline.verdicts
    assert {reading.name for reading in board.readings}
    assert board.children["adapter"] is True


async def test_what_is_shown_is_a_copy(daemon: Daemon) -> None:
    daemon.parts.facts.publish(FRAME)
    daemon.tick()
    daemon.board.relay_counts.clear()
    daemon.board.relay_frames.clear()
    daemon.board.canaries.clear()
    assert daemon.parts.roster.counts["requests"] == 5
    assert daemon.parts.roster.frames() == [FRAME]
    assert daemon.parts.canaries.outcomes


async def test_a_committed_incident_forbids_a_capture_before_anybody_is_shown_it(daemon: Daemon) -> None:
    daemon.parts.runner.state = TargetState(target="engine", incident=an_incident("inc-7", "slow_tokens"))
    assert daemon.board.incident is None
    with pytest.raises(Refused, match="inc-7"):
        daemon.parts.references.capture()


async def test_a_commit_is_shown_at_once(daemon: Daemon) -> None:
    daemon.display.after_commit(TargetState(target="engine", incident=an_incident("inc-7", "slow_tokens")))
    assert daemon.board.incident is not None
    assert daemon.board.incident["rules"] == ["slow_tokens"]
    assert [shown["id"] for shown in daemon.board.incidents] == ["inc-7"]
