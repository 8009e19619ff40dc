"""Says once what finish reasons there are that no engine we know gives: their answers count as good, on trust."""

from __future__ import annotations

from typing import Final

import structlog

from watchtower.vocabulary.facts import AnyFact, RelayFrame

MOST_TOLD: Final = 16
"""Reasons that are told; an engine that makes them up must not fill the log."""

log = structlog.get_logger("watchtower.relays")


class UnknownFinish:
    """``absorb`` every fact."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def absorb(self, fact: AnyFact) -> None:
        if not isinstance(fact, RelayFrame):
            return
        for news in fact.news:
            closed = news.closed
            if closed is not None and closed.unknown_finish and closed.finish_reason not in self._known:
                self._tell(closed.finish_reason)

    def _tell(self, reason: str) -> None:
        if len(self._known) < MOST_TOLD:
            self._known.add(reason)
            log.warning("an answer ended for a reason that no engine we know gives; it counts as good", reason=reason)
