"""What is wrong with the configured sinks, whatever their kinds: names and templates, each with its place."""

from __future__ import annotations

from collections.abc import Mapping

from watchtower.configuration.tree import Tree, dotted, place_of
from watchtower.settings import Settings
from watchtower.sinks import checking
from watchtower.vocabulary.errors import Problem


def sink_problems(settings: Settings, tree: Tree) -> list[Problem]:
    """Two sinks of one name, templates that say nothing. What only one kind can get wrong, the kind says itself."""
    found = []
    names: Mapping[str, int] = {}
    for index, sink in enumerate(settings.sinks):
        route: tuple[str | int, ...] = ("sinks", index)
        if sink.name in names:
            what = f"sinks[{names[sink.name]}] has the same name"
            found.append(_problem(tree, (*route, "name"), what, "give each sink a name of its own"))
        names = {sink.name: index, **names}
        for mistake in checking.template_mistakes(sink):
            found.append(_problem(tree, (*route, *mistake.route), mistake.what, mistake.cure))
    return found


def _problem(tree: Tree, route: tuple[str | int, ...], what: str, cure: str) -> Problem:
    return Problem(str(place_of(tree, route)), dotted(route), what, cure)
