"""Settings → sinks, by way of the catalogue; and which of them want to hear of a notice.

Used by the daemon and by ``watchtower sinks``, so that a test message goes the same way as an alert.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from watchtower import catalogue
from watchtower.ports import Clock, Sink
from watchtower.settings import Settings
from watchtower.sinks.templates import Words
from watchtower.vocabulary.incidents import Notice, NoticeKind
from watchtower.vocabulary.readings import Severity


@runtime_checkable
class WordedSink(Sink, Protocol):
    """A sink that speaks in templates, as all of ours do."""

    words: Words


def make_sinks(settings: Settings, clock: Clock) -> list[Sink]:
    """Every configured sink. Raises BadInput for one that cannot be used. Whoever makes them closes them."""
    return [catalogue.load("sinks", sink.kind)(sink, clock, settings.web.public_url) for sink in settings.sinks]


def audience(settings: Settings, notice: Notice) -> list[str]:
    """The sinks that want to hear of ``notice``, by name. Escalations go to all; a severity that nobody knows counts as
    the worst, because a filter must never lose an alert."""
    ranks = list(Severity)
    rank = ranks.index(Severity(notice.severity)) if notice.severity in set(Severity) else len(ranks)
    if notice.kind is NoticeKind.ESCALATED:
        rank = len(ranks)
    return [sink.name for sink in settings.sinks if rank >= ranks.index(sink.min_severity)]
