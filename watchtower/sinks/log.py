"""The null sink that still tells: one line per notice in Watchtower's own log."""

from __future__ import annotations

from typing import Literal

import structlog

from watchtower.knobs import SinkName, SinkSettings
from watchtower.ports import Clock, Delivery
from watchtower.sinks.checking import require
from watchtower.sinks.delivery import DELIVERED
from watchtower.sinks.templates import Words
from watchtower.vocabulary.incidents import Notice, NoticeKind

log = structlog.get_logger("watchtower.notices")

_LOUD = frozenset({NoticeKind.ESCALATED, NoticeKind.STORAGE_FAULT, NoticeKind.BLIND})
_QUIET = frozenset({NoticeKind.RESOLVED, NoticeKind.MODE_CHANGED, NoticeKind.TEST})


class LogSinkSettings(SinkSettings):
    """One line per notice in Watchtower's own log."""

    kind: Literal["log"]
    name: SinkName = "log"


class LogSink:
    """``ports.Sink``. Always delivers."""

    Settings = LogSinkSettings

    def __init__(self, settings: LogSinkSettings, clock: Clock, console: str = "") -> None:
        require(settings)
        self.name = settings.name
        self.words = Words(settings.templates, console)

    async def send(self, notice: Notice, attempt: int) -> Delivery:
        message = self.words.message(notice)
        say = log.error if notice.kind in _LOUD else log.info if notice.kind in _QUIET else log.warning
        say(
            message.headline,
            kind=notice.kind.value,
            incident=notice.incident,
            target=notice.target,
            severity=notice.severity,
            text=message.text,
            next=notice.next_command,
            id=notice.id,
        )
        return DELIVERED

    async def close(self) -> None:
        """Nothing is open."""
