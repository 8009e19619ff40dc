"""What a model expects at a path: the fields it knows there, and whether they are secret.

Validation errors tell only that a name is wrong; nearest names, environment variables and ``*_file`` companions need to
know which names would be right at that place, through lists, maps and unions told apart by ``kind:``.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from watchtower.configuration.tree import MappingNode, Route, ScalarNode, Tree, at

Shape: TypeAlias = Any
"""A type annotation, or None where the model knows nothing."""


def shape_at(model: type[BaseModel], tree: Tree, path: Route) -> Shape:
    """The annotation of the value at ``path`` of ``tree``; None where the model knows nothing there."""
    shape: Shape = model
    for depth, step in enumerate(path):
        shape = _inside(_chosen(shape, at(tree, path[:depth])), step)
        if shape is None:
            return None
    return _chosen(shape, at(tree, path))


def fields(shape: Shape) -> dict[str, Shape]:
    """Names (as written in files) and annotations of a group of knobs; empty for anything else."""
    if not is_group(shape):
        return {}
    return {field.alias or name: field.annotation for name, field in shape.model_fields.items()}


def is_group(shape: Shape) -> bool:
    return isinstance(shape, type) and issubclass(shape, BaseModel)


def is_secret(shape: Shape) -> bool:
    return any(option is SecretStr for option in options(shape))


def is_open_map(shape: Shape) -> bool:
    """A mapping whose keys are the user's own."""
    return any(_origin(option) is dict for option in options(shape))


def options(shape: Shape) -> Iterator[Shape]:
    """The members of a union, or the shape itself; annotations stripped."""
    if _origin(shape) is Annotated:
        yield from options(get_args(shape)[0])
    elif _origin(shape) in (Union, types.UnionType):
        for option in get_args(shape):
            yield from options(option)
    elif shape is not None:
        yield shape


def _origin(shape: Shape) -> object:
    return get_origin(shape)


def _chosen(shape: Shape, node: Tree | None) -> Shape:
    """The one member of a union of groups that ``kind:`` names; the first where it tells nothing."""
    groups = [option for option in options(shape) if is_group(option)]
    if not groups:
        return shape
    kind = node.entries.get("kind") if isinstance(node, MappingNode) else None
    if len(groups) > 1 and isinstance(kind, ScalarNode):
        for group in groups:
            known = group.model_fields.get("kind")
            if known is not None and kind.text in get_args(known.annotation):
                return group
    return groups[0]


def _inside(shape: Shape, step: str | int) -> Shape:
    if isinstance(step, str) and is_group(shape):
        return fields(shape).get(step)
    for option in options(shape):
        origin, arguments = _origin(option), get_args(option)
        if isinstance(step, int) and origin in (list, tuple) and arguments:
            return arguments[0]
        if isinstance(step, str) and origin is dict:
            return arguments[1]
    return None
