"""``*_file`` companions: ``secret_file: /run/secrets/x`` in place of ``secret:`` for every secret field.

The file's content (without its last line break) becomes the value, so that no secret stands in a configuration that
people mail to each other. What was read never appears in a message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from watchtower.configuration.shapes import fields, is_secret, shape_at
from watchtower.configuration.tree import MappingNode, Route, ScalarNode, SequenceNode, Tree, dotted
from watchtower.vocabulary.errors import Problem

SUFFIX = "_file"
LARGEST = 64 * 1024
"""Bytes of one secret."""
LEAST_CHARACTERS = 6
"""A variable that equals a shorter secret may do so by chance."""


def read_companions(tree: Tree, model: type[BaseModel], beside: Path) -> list[Problem]:
    """Replace every companion in ``tree`` by its secret. Relative paths start at ``beside``. Returns the mistakes."""
    problems: list[Problem] = []
    _visit(tree, tree, (), model, beside, problems)
    return problems


def holders(environ: Mapping[str, str], settings: BaseModel, but: str) -> list[str]:
    """Variables whose value is a secret of these settings, whatever they are called: ``WATCHTOWER__SINKS__0__SECRET``
    is often made of another. ``but``: the group whose secrets do not count."""
    groups = {name: getattr(settings, name) for name in type(settings).model_fields if name != but}
    secrets = {secret for secret in _secrets(groups) if len(secret) >= LEAST_CHARACTERS}
    return [name for name, value in environ.items() if value in secrets]


def _secrets(value: Any) -> Iterator[str]:
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case BaseModel():
            yield from _secrets({name: getattr(value, name) for name in type(value).model_fields})
        case dict():
            for item in value.values():
                yield from _secrets(item)
        case list() | tuple():
            for item in value:
                yield from _secrets(item)
        case _:
            pass


def _visit(top: Tree, node: Tree, route: Route, model: type[BaseModel], beside: Path, problems: list[Problem]) -> None:
    if isinstance(node, SequenceNode):
        for index, item in enumerate(node.items):
            _visit(top, item, (*route, index), model, beside, problems)
    if not isinstance(node, MappingNode):
        return
    known = fields(shape_at(model, route))
    for key in list(node.entries):
        name = key.removesuffix(SUFFIX)
        if name == key or key in known or not is_secret(known.get(name)):
            _visit(top, node.entries[key], (*route, key), model, beside, problems)
            continue
        companion, place = node.entries.pop(key), node.keys.pop(key)
        where, path = str(place), dotted((*route, key))
        if name in node.entries:
            problems.append(Problem(where, path, f"both {name} and {key} are written", "keep one"))
            continue
        secret, why = _content(companion, beside)
        if why:
            problems.append(Problem(where, path, why, "name a readable file that holds nothing but the secret"))
        node.entries[name], node.keys[name] = ScalarNode(secret or "unread", place, plain=False), place


def _content(companion: Tree, beside: Path) -> tuple[str, str]:
    """(secret, why it could not be read)."""
    if not isinstance(companion, ScalarNode) or not companion.text:
        return "", "the path of a file is expected"
    try:
        with (beside / companion.text).open("rb") as file:
            raw = file.read(LARGEST + 1)
        text = raw.decode("utf-8").rstrip("\r\n")
    except (OSError, ValueError) as problem:
        return "", f"cannot be read: {getattr(problem, 'strerror', None) or 'not UTF-8 text'}"
    if not text or len(raw) > LARGEST:
        return "", "the file is empty" if not text else f"the file is larger than {LARGEST // 1024} KiB"
    return text, ""
