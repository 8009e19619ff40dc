"""The only writer of the board: copies what the services know, after each tick and after each commit.

Nothing reads it back: a decision that needs one of these values takes it from the service that knows it.
"""

from __future__ import annotations

from collections.abc import Mapping

from watchtower import __version__
from watchtower.board import Board, SinkHealth
from watchtower.daemon.documents import action_json, checkpoints_json, incident_json, pause_json
from watchtower.daemon.parts import Parts
from watchtower.ports import Clock
from watchtower.remediation.state import TargetState
from watchtower.scoring.scorer_child import ScorerChild
from watchtower.services.delivering.deliveries import SinkChannel
from watchtower.services.delivering.recipients import WordedSink
from watchtower.services.judging.evaluation import Evaluation
from watchtower.services.watching.heading import Heading
from watchtower.settings import Settings
from watchtower.storage.outbox import MOST_ROWS


class DaemonDisplay:
    """``board`` is for faces alone."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        started = clock.now()
        self._heading = Heading(settings.target, settings.tick_seconds, started.boot)
        self.board = Board(
            target=settings.target,
            version=__version__,
            mode=settings.remediation.mode.value,
            profile=settings.remediation.profile,
            started=started,
        )

    def after_listen(self, address: str) -> None:
        self.board.relay_listening = address

    def after_commit(self, state: TargetState) -> None:
        show_state(self.board, state)
        self._heading.after_commit(state)

    def after_tick(self, evaluation: Evaluation, parts: Parts) -> None:
        show_evaluation(self.board, evaluation)
        self.board.shown = self._heading.after_tick(evaluation.verdicts, evaluation.at)
        self.board.watched = self._heading.watched
        _show_sight(self.board, parts)
        _show_work(self.board, parts)
        _show_own_parts(self.board, parts)


def show_state(board: Board, state: TargetState) -> None:
    """Replace remediation's part of the board with what is committed."""
    current = (state.incident,) if state.incident else ()
    # while a resolved incident may be coming back it stands in both places
    earlier = [incident for incident in state.recent if not state.incident or incident.id != state.incident.id]
    board.incidents = [incident_json(incident) for incident in (*current, *earlier)]
    board.actions = [action_json(action) for action in reversed(state.actions)]
    board.incident = incident_json(state.incident) if state.incident else None
    board.action = next(
        (action for action in board.actions if state.incident and action["incident"] == state.incident.id), None
    )
    board.paused = pause_json(state.pause) if state.pause else None
    board.storage_fault = state.storage_fault
    board.checkpoints = checkpoints_json(state.checkpoints)


def show_evaluation(board: Board, evaluation: Evaluation) -> None:
    board.readings, board.verdicts = evaluation.readings, evaluation.verdicts
    board.gpus, board.histograms = evaluation.gpus, evaluation.histograms
    board.latency.append((evaluation.at.wall, evaluation.inter_token_p95))
    board.last_tick, board.ticks = evaluation.at, board.ticks + 1
    board.loop_lag_seconds, board.evaluation_seconds = evaluation.lag_seconds, evaluation.took_seconds


def _show_sight(board: Board, parts: Parts) -> None:
    """Who is there: relay workers and the engine."""
    board.ready_because = parts.readiness.because()
    board.relay_frames = {frame.pid: frame for frame in parts.roster.frames()}
    board.relay_counts = dict(parts.roster.counts)
    board.relay_unread = dict(parts.roster.unread)
    board.relay_bypass = parts.bypassing.document()
    board.contacts = parts.contacts.document(board.last_tick.boot if board.last_tick else 0.0)
    word = parts.serving.word()
    board.serving = {"known": word.known, "serving": word.serving, "reason": word.reason}
    board.engine = parts.sight.newest
    board.engine_restarts = parts.sight.restarts
    board.engine_scrapes = dict(parts.sight.scrapes)


def _show_work(board: Board, parts: Parts) -> None:
    """What was asked, judged, cured and delivered so far."""
    board.exchanges = dict(parts.windows.ended)
    board.canaries = dict(parts.canaries.outcomes)
    board.references = parts.references.counts()
    board.samples = parts.samples.counted()
    board.output_shift = parts.samples.diagnosis
    board.incidents_opened = parts.tally.incidents_opened
    board.actions_ended = {verb: dict(results) for verb, results in parts.tally.actions_ended.items()}
    board.outbox = parts.deliveries.counters()
    board.sinks = sink_health(parts.deliveries.channels)
    if parts.telemetry:
        board.telemetry = {signal: dict(results) for signal, results in parts.telemetry.exports.items()}


def sink_health(channels: Mapping[str, SinkChannel]) -> dict[str, SinkHealth]:
    return {
        name: SinkHealth(
            ok=channel.sent,
            failed=channel.failed,
            up=not channel.because and not channel.gone,
            fallbacks=channel.sink.words.fallbacks if isinstance(channel.sink, WordedSink) else 0,
        )
        for name, channel in channels.items()
    }


def _show_own_parts(board: Board, parts: Parts) -> None:
    """Our own queues and child processes, and what went wrong in them."""
    gpu = parts.gpus.hardware.child if parts.gpus.hardware else None
    telemetry, runner = parts.telemetry, parts.runner
    board.counters = {
        "machine_events_dropped": runner.dropped,
        "adapter_kills": parts.adapter.kills,
        "relay_strangers": parts.relays.refused,
        "gpu_kills": gpu.kills if gpu else 0,
        "gpu_abandoned": gpu.abandoned if gpu else 0,
        "task_failures": sum(parts.tasks.failures.values()),
        "facts_refused": parts.windows.refused,
        "facts_ignored": parts.windows.ignored,
        "latencies_left_out": parts.windows.left_out,
        "telemetry_dropped": telemetry.spans.dropped if telemetry else 0,
        "recording_dropped": parts.recorder.dropped,
    }
    board.queues = {
        "machine": (runner.events_waiting.qsize(), runner.events_waiting.maxsize),
        "outbox": (int(board.outbox["pending"]), MOST_ROWS),
    }
    if telemetry:
        board.queues["telemetry"] = (len(telemetry.spans.waiting), telemetry.spans.capacity)
    board.children = {"adapter": parts.adapter.up}
    if gpu:
        board.children["gpu"] = gpu.up
    if isinstance(parts.encoder, ScorerChild):
        scorer = parts.encoder.report
        board.counters |= {"scorer_kills": scorer.kills, "scorer_live_dropped": scorer.live_dropped}
        if scorer.children and scorer.state != "never":  # not installed is UNKNOWN, and said so, but nothing is down
            board.children["scorer"] = scorer.state == "ready"
