"""Settings → sinks, by way of the catalogue; and what is wrong with them, each with its place in the file.

Used by the daemon and by ``watchtower sinks``, so that a test message goes the same way as an alert.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from watchtower import catalogue
from watchtower.configuration.tree import Tree, dotted, place_of
from watchtower.ports import Clock, Sink
from watchtower.settings import Settings
from watchtower.sinks import checking
from watchtower.sinks.templates import Words
from watchtower.vocabulary.errors import Problem
from watchtower.vocabulary.incidents import Notice, NoticeKind
from watchtower.vocabulary.readings import Severity


@runtime_checkable
class OpenSink(Sink, Protocol):
    """A sink as the catalogue makes it."""

    words: Words

    async def close(self) -> None: ...


def make_sinks(settings: Settings, clock: Clock) -> list[OpenSink]:
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


def sink_problems(settings: Settings, tree: Tree) -> list[Problem]:
    """All that the types of the settings cannot show: addresses, keys, templates, two sinks of one name."""
    found = []
    names: Mapping[str, int] = {}
    for index, sink in enumerate(settings.sinks):
        route: tuple[str | int, ...] = ("sinks", index)
        if sink.name in names:
            what = f"sinks[{names[sink.name]}] has the same name"
            found.append(_problem(tree, (*route, "name"), what, "give each sink a name of its own"))
        names = {sink.name: index, **names}
        for mistake in checking.mistakes(sink):
            found.append(_problem(tree, (*route, *mistake.route), mistake.what, mistake.cure))
    return found


def _problem(tree: Tree, route: tuple[str | int, ...], what: str, cure: str) -> Problem:
    return Problem(str(place_of(tree, route)), dotted(route), what, cure)
