"""How many incidents and actions there were, counted from entries as they are committed. Nothing here decides."""

from __future__ import annotations

from collections.abc import Iterable

from watchtower.vocabulary.actions import TERMINAL_ACTIONS, ActionState
from watchtower.vocabulary.records import Entry

RESULTS = tuple(state.value for state in ActionState if state in TERMINAL_ACTIONS)


class IncidentTally:
    """Since the daemon started."""

    def __init__(self) -> None:
        self.incidents_opened = 0
        self.actions_ended: dict[str, dict[str, int]] = {}
        """By verb, then by result."""

    def count(self, entries: Iterable[Entry]) -> None:
        """Add what was just committed."""
        for entry in entries:
            room, _, word = entry.kind.partition(".")
            if entry.kind == "incident.open" and entry.body.get("from") == "suspect":
                self.incidents_opened += 1
            elif room == "action" and "verb" in entry.body:
                # with the first word of a verb all its results exist, at 0: a rate over the first one is seen
                results = self.actions_ended.setdefault(entry.body["verb"], dict.fromkeys(RESULTS, 0))
                if word in results:
                    results[word] += 1
