"""What the board counts beside the pipeline: incidents and actions as they are committed, and our own parts.

Nothing here decides; a count is taken from the one place that knows it, at each evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from watchtower.board import Board, SinkHealth
from watchtower.hardware.sources import Hardware
from watchtower.scoring.scorer_child import ScorerChild
from watchtower.services.delivering.deliveries import SinkChannel
from watchtower.services.delivering.recipients import OpenSink
from watchtower.storage.outbox import MOST_ROWS
from watchtower.tasks import TaskGroup
from watchtower.vocabulary.actions import TERMINAL_ACTIONS, ActionState
from watchtower.vocabulary.records import Entry

if TYPE_CHECKING:
    from watchtower.daemon.building import Rooms

RESULTS = tuple(state.value for state in ActionState if state in TERMINAL_ACTIONS)


def count_entries(board: Board, entries: Sequence[Entry]) -> None:
    """Add what was just committed."""
    for entry in entries:
        room, _, word = entry.kind.partition(".")
        if entry.kind == "incident.open" and entry.body.get("from") == "suspect":
            board.incidents_opened += 1
        elif room == "action" and "verb" in entry.body:
            # with the first word of a verb all its results exist, at 0: a rate over the first one is seen
            results = board.actions_ended.setdefault(entry.body["verb"], dict.fromkeys(RESULTS, 0))
            if word in results:
                results[word] += 1


def sink_health(channels: Mapping[str, SinkChannel]) -> dict[str, SinkHealth]:
    return {
        name: SinkHealth(
            ok=channel.sent,
            failed=channel.failed,
            up=not channel.because and not channel.gone,
            fallbacks=channel.sink.words.fallbacks if isinstance(channel.sink, OpenSink) else 0,
        )
        for name, channel in channels.items()
    }


def take_stock(board: Board, rooms: Rooms, hardware: Hardware | None, tasks: TaskGroup) -> None:
    """Put every count, queue and child of ours on the board."""
    gpu = hardware.child if hardware else None
    telemetry = rooms.telemetry
    board.canaries = dict(rooms.canaries.outcomes)
    board.references |= rooms.meaning.counts()
    board.samples = rooms.samples.counted()
    board.outbox = rooms.deliveries.counters()
    board.sinks = sink_health(rooms.deliveries.channels)
    board.counters = {
        "machine_events_dropped": rooms.runner.dropped,
        "adapter_kills": rooms.adapter.kills,
        "gpu_kills": gpu.kills if gpu else 0,
        "gpu_abandoned": gpu.abandoned if gpu else 0,
        "task_failures": sum(tasks.failures.values()),
        "facts_refused": rooms.windows.refused,
        "facts_ignored": rooms.windows.ignored,
        "telemetry_dropped": telemetry.spans.dropped if telemetry else 0,
        "recording_dropped": rooms.recorder.dropped,
    }
    board.queues = {
        "machine": (rooms.runner.events_waiting.qsize(), rooms.runner.events_waiting.maxsize),
        "outbox": (int(board.outbox["pending"]), MOST_ROWS),
    }
    if telemetry:
        board.queues["telemetry"] = (len(telemetry.spans.waiting), telemetry.spans.capacity)
    if rooms.recorder.capacity:
        board.queues["recording"] = (len(rooms.recorder.waiting), rooms.recorder.capacity)
    board.children = {"adapter": rooms.adapter.up}
    if gpu:
        board.children["gpu"] = gpu.up
    if isinstance(rooms.encoder, ScorerChild):
        scorer = rooms.encoder.report
        board.counters |= {"scorer_kills": scorer.kills, "scorer_live_dropped": scorer.live_dropped}
        if scorer.children and scorer.state != "never":  # not installed is UNKNOWN, and said so, but nothing is down
            board.children["scorer"] = scorer.state == "ready"
