"""The null sink that still tells: one line per notice in Watchtower's own log."""

from __future__ import annotations

import structlog

from watchtower.ports import Delivery
from watchtower.settings import LogSinkSettings
from watchtower.sinks.delivery import DELIVERED
from watchtower.vocabulary.incidents import Notice, NoticeKind

log = structlog.get_logger("watchtower.notices")

_LOUD = frozenset({NoticeKind.ESCALATED, NoticeKind.STORAGE_FAULT, NoticeKind.BLIND})


class LogSink:
    """``ports.Sink``. Always delivers."""

    def __init__(self, settings: LogSinkSettings) -> None:
        self.name = settings.name

    async def send(self, notice: Notice, attempt: int) -> Delivery:
        say = log.error if notice.kind in _LOUD else log.warning
        say(
            notice.title,
            kind=notice.kind.value,
            incident=notice.incident,
            target=notice.target,
            severity=notice.severity,
            text=notice.text,
            next=notice.next_command,
            id=notice.id,
        )
        return DELIVERED
