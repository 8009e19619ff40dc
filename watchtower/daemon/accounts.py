"""What the board counts beside the pipeline: incidents and actions as they are committed, and our own parts.

Nothing here decides; a count is taken from the one place that knows it, at each evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from watchtower.board import Board, SinkHealth
from watchtower.daemon.deliveries import Line
from watchtower.vocabulary.actions import TERMINAL_ACTIONS, ActionState
from watchtower.vocabulary.records import Entry

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


def sink_health(lines: Mapping[str, Line]) -> dict[str, SinkHealth]:
    return {
        name: SinkHealth(ok=line.sent, failed=line.failed, up=not line.because and not line.gone)
        for name, line in lines.items()
    }
