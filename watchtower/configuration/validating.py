"""A tree against a pydantic model: a value, or every mistake as file:line · path · what · cure.

Validation is strict (no ``"yes"`` for true, no ``5.0`` for 5) with two courtesies: a field named ``…_seconds`` takes
``30s`` or ``5m`` beside plain numbers, and an unquoted number where text is wanted is that text as written, so that
``command: [serve, --port, 8000]`` means what it says. Values are echoed only where they cannot be secrets.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from watchtower.configuration.shapes import fields, is_group, is_secret, shape_at
from watchtower.configuration.tree import MappingNode, Route, ScalarNode, SequenceNode, Tree, at, data, dotted, place_of
from watchtower.vocabulary.errors import Problem
from watchtower.vocabulary.quantities import duration

Model = TypeVar("Model", bound=BaseModel)

_BOOLEANS = {"on": "true", "yes": "true", "y": "true", "off": "false", "no": "false", "n": "false"}


def validate(model: type[Model], tree: Tree, found: Iterable[Problem] = ()) -> tuple[Model | None, list[Problem]]:
    """Check ``tree``; exactly one of the two is empty. ``found``: mistakes that are known already. Durations and
    numbers-as-text are rewritten in ``tree``."""
    problems = [*found, *_durations(model, tree, tree, ())]
    spoiled = {problem.path for problem in problems}
    for _ in range(2):
        try:
            value = model.model_validate_json(json.dumps(data(tree)), strict=True)
        except ValidationError as failure:
            errors = [(_route(error["loc"]), error) for error in failure.errors(include_url=False)]
            numbers = [
                route for route, error in errors if error["type"] in _TEXT_WANTED and _is_number(at(tree, route))
            ]
            if numbers:
                for route in numbers:
                    _as_text(tree, route)
                continue
            problems += [_problem(model, tree, route, error) for route, error in errors if dotted(route) not in spoiled]
            return None, in_order(set(problems))
        return (None, in_order(problems)) if problems else (value, [])
    raise AssertionError("a number that became text was refused as text again")  # pragma: no cover


_TEXT_WANTED = {"string_type", "path_type"}


def _is_number(node: Tree | None) -> bool:
    return isinstance(node, ScalarNode) and isinstance(node.value, int | float) and not isinstance(node.value, bool)


def _as_text(tree: Tree, route: Route) -> None:
    parent, node = at(tree, route[:-1]), at(tree, route)
    assert isinstance(node, ScalarNode)
    text, step = ScalarNode(node.text, node.place, plain=False, raw=node.raw), route[-1]
    if isinstance(parent, MappingNode) and isinstance(step, str):
        parent.entries[step] = text
    elif isinstance(parent, SequenceNode) and isinstance(step, int):
        parent.items[step] = text


def _durations(model: type[BaseModel], top: Tree, node: Tree, route: Route) -> list[Problem]:
    """Rewrite ``every_seconds: 5m`` to 300 wherever the model has such a field."""
    problems: list[Problem] = []
    if isinstance(node, SequenceNode):
        for index, item in enumerate(node.items):
            problems += _durations(model, top, item, (*route, index))
    if isinstance(node, MappingNode):
        known = fields(shape_at(model, route))
        for key, value in node.entries.items():
            problems += _durations(model, top, value, (*route, key))
            if (
                key.endswith("_seconds")
                and key in known
                and isinstance(value, ScalarNode)
                and isinstance(value.value, str)
            ):
                try:
                    number = duration(value.text)
                except ValueError:
                    path, cure = dotted((*route, key)), "write seconds, or e.g. 500ms, 30s, 5m, 2h"
                    problems.append(Problem(str(node.keys[key]), path, "not a duration", cure))
                else:
                    node.entries[key] = ScalarNode(f"{number:.9g}", value.place)
    return problems


def _route(location: tuple[int | str, ...]) -> Route:
    """pydantic's location without what is not in the file: a mapping's ``[key]``."""
    return tuple(step for step in location if step != "[key]")


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """By file, line, column, path."""

    def order(problem: Problem) -> tuple[str, list[int], str]:
        source, *numbers = re.split(r":(?=\d)", problem.where)
        return source, [int(number) for number in numbers if number.isdigit()], problem.path

    return sorted(problems, key=order)


def _problem(model: type[BaseModel], tree: Tree, route: Route, error: ErrorDetails) -> Problem:
    what, cure = _said(model, tree, route, error)
    return Problem(str(place_of(tree, route)), dotted(route), what, cure)


def _said(model: type[BaseModel], tree: Tree, route: Route, error: ErrorDetails) -> tuple[str, str]:
    kind, limits = error["type"], error.get("ctx", {})
    shape, node = shape_at(model, route), at(tree, route)
    shown = _shown(shape, node)
    if kind == "extra_forbidden":
        known = list(fields(shape_at(model, route[:-1])))
        return "unknown name", _nearest(str(route[-1]), known)
    if kind == "missing":
        return "missing", f"add {route[-1]}{_or_file(shape, str(route[-1]))}"
    if isinstance(node, ScalarNode) and node.value is None:
        return "nothing is written here", "write its value, or remove the line"
    if kind in ("enum", "literal_error"):
        listed = str(limits.get("expected", "")).replace("'", "").replace(" or ", ", ")
        choices = [choice.strip() for choice in listed.split(",")]
        near = difflib.get_close_matches(node.text if isinstance(node, ScalarNode) else "", choices, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        return f"not a possible value{shown}", f"{hint}one of: {', '.join(choices)}"
    if kind in ("bool_type", "bool_parsing"):
        meant = _BOOLEANS.get(node.text.lower()) if isinstance(node, ScalarNode) else None
        return f"not a boolean{shown}", f"write {meant}" if meant else "write true or false, without quotes"
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"out of range{shown}", f"write a number {words} {limits[name]:g}"
    if kind in _TYPES:
        what, cure = _TYPES[kind]
        return f"{what}{shown}", cure
    if kind == "value_error":
        what, _, cure = str(error["msg"]).removeprefix("Value error, ").partition(" · ")
        return what, cure
    return str(error["msg"])[:1].lower() + str(error["msg"])[1:], "see `watchtower schema`"


_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "of at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "of at most"),
}
_TYPES = {
    "int_type": ("not a whole number", "write a whole number, without quotes"),
    "int_from_float": ("not a whole number", "write a whole number"),
    "float_type": ("not a number", "write a number, without quotes"),
    "string_pattern_mismatch": ("not a name", "small letters, digits and underscores, beginning with a letter"),
    "string_type": ("not text", "put it in quotes"),
    "path_type": ("not a path", "write a path, in quotes if need be"),
    "tuple_type": ("not a list", "write [a, b] or one '- item' in a line"),
    "list_type": ("not a list", "write [a, b] or one '- item' in a line"),
    "dict_type": ("not a mapping", "write name: value below it"),
    "model_type": ("not a group of fields", "write name: value below it"),
    "model_attributes_type": ("not a group of fields", "write name: value below it"),
}


def _shown(shape: object, node: Tree | None) -> str:
    """The value as written, if it is short, single and cannot be a secret (numbers, booleans and choices only)."""
    if not isinstance(node, ScalarNode) or is_secret(shape) or shape is None or shape is str or is_group(shape):
        return ""
    return f": {node.text}" if 0 < len(node.text) <= 24 and node.text.isprintable() else ""


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"


def _or_file(shape: object, name: str) -> str:
    return f" (or {name}_file, the path of a file that holds it)" if is_secret(shape) else ""
