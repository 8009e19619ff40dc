"""Variables and flags laid over the tree of a file, each remembering its name as its place.

``WATCHTOWER__SECTION__FIELD=value``; a number is a list index: ``WATCHTOWER__SINKS__0__SECRET``. A value that begins
with ``[`` or ``{`` is YAML. Names are lower-cased, except below a free-form map, whose keys are kept as written.
Flags (``remediation.mode``) come last and win.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from watchtower.configuration.shapes import is_open_map, is_secret, shape_at
from watchtower.configuration.tree import MappingNode, Place, Route, ScalarNode, SequenceNode, Tree, dotted
from watchtower.configuration.yamltree import read_yaml
from watchtower.vocabulary.errors import BadInput, Problem

PREFIX = "WATCHTOWER__"


def overlay(
    tree: Tree, model: type[BaseModel], environ: Mapping[str, str], overrides: Mapping[str, str]
) -> list[Problem]:
    """Write every ``WATCHTOWER__…`` variable, then every override, into ``tree``; the mistakes are returned."""
    problems: list[Problem] = []
    for name in sorted(environ):
        if name.startswith(PREFIX):
            _lay(
                tree,
                model,
                name.removeprefix(PREFIX).split("__"),
                environ[name],
                Place(f"environment {name}"),
                problems,
            )
    for path, text in overrides.items():
        _lay(tree, model, path.split("."), text, Place(f"override {path}"), problems)
    return problems


def _lay(
    tree: Tree, model: type[BaseModel], words: list[str], text: str, place: Place, problems: list[Problem]
) -> None:
    if not all(words):
        problems.append(Problem(str(place), "", "an empty name", "write WATCHTOWER__SECTION__FIELD"))
        return
    if any("\ud800" <= character <= "\udfff" for character in text):  # how Python keeps bytes that are no UTF-8
        problems.append(Problem(str(place), "", "not UTF-8 text", "set it to UTF-8"))
        return
    node: Tree = tree
    route: Route = ()
    for index, word in enumerate(words):
        step = _step(tree, model, route, word)
        last = index == len(words) - 1
        made = _value(text, place, is_secret(shape_at(model, (*route, step))), problems) if last else None
        if last and made is None:
            return
        child = _child(node, step, made, words[index + 1 : index + 2], place)
        if child is None:
            what = "there is nothing to go into" if isinstance(node, ScalarNode) else "this list has no such place"
            problems.append(Problem(str(place), dotted((*route, step)), what, "indexes count from 0 without gaps"))
            return
        node, route = child, (*route, step)


def _step(tree: Tree, model: type[BaseModel], route: Route, word: str) -> str | int:
    if word.isascii() and word.isdigit() and len(word) < 4:
        return int(word)
    return word if is_open_map(shape_at(model, route)) else word.lower()


def _child(node: Tree, step: str | int, made: Tree | None, following: list[str], place: Place) -> Tree | None:
    """The node below ``node``: ``made`` where given, otherwise what is there, otherwise a new branch."""
    if isinstance(node, MappingNode):
        key = str(step)
        here = node.entries.get(key)
        branch = isinstance(here, MappingNode | SequenceNode)
        child = made or (here if here is not None and branch else _branch(following, place))
        node.entries[key] = child
        if made or not branch:
            node.keys[key] = place
        return child
    if isinstance(node, SequenceNode) and isinstance(step, int) and step <= len(node.items):
        if step == len(node.items):
            node.items.append(made or _branch(following, place))
        elif made:
            node.items[step] = made
        return node.items[step]
    return None


def _branch(following: list[str], place: Place) -> Tree:
    return SequenceNode(place) if following and following[0].isdigit() else MappingNode(place)


def _value(text: str, place: Place, secret: bool, problems: list[Problem]) -> Tree | None:
    if text[:1] not in ("[", "{") or secret:
        return ScalarNode(text, place, plain=bool(text))  # VAR= is the empty text, not "nothing"
    try:
        wrapped = read_yaml("value: " + text, place.source)
    except BadInput as problem:
        problems.extend(Problem(str(place), "", mistake.what, mistake.cure) for mistake in problem.problems)
        return None
    assert isinstance(wrapped, MappingNode)
    return _replaced(wrapped.entries["value"], place)


def _replaced(tree: Tree, place: Place) -> Tree:
    """The same tree, all of it standing at ``place``."""
    match tree:
        case MappingNode():
            entries = {key: _replaced(value, place) for key, value in tree.entries.items()}
            return MappingNode(place, entries, dict.fromkeys(entries, place))
        case SequenceNode():
            return SequenceNode(place, [_replaced(item, place) for item in tree.items])
        case ScalarNode():
            return ScalarNode(tree.text, place, tree.plain)
