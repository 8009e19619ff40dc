"""What a model expects at a path: the fields it knows there, and whether they are secret.

Validation errors tell only that a name is wrong; nearest names, environment variables and ``*_file`` companions need to
know which names would be right at that place, through lists and maps.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from watchtower.configuration.tree import Route

Shape: TypeAlias = Any
"""A type annotation, or None where the model knows nothing."""


def shape_at(model: type[BaseModel], path: Route) -> Shape:
    """The annotation of the value at ``path``; None where the model knows nothing there."""
    shape: Shape = model
    for step in path:
        shape = _inside(_group(shape), step)
        if shape is None:
            return None
    return _group(shape)


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


def _group(shape: Shape) -> Shape:
    """The group of knobs in a shape that may also be nothing (``Group | None``); any other shape as it is."""
    return next((option for option in options(shape) if is_group(option)), shape)


def _inside(shape: Shape, step: str | int) -> Shape:
    if isinstance(step, str) and is_group(shape):
        return fields(shape).get(step)
    for option in options(shape):
        origin, arguments = _origin(option), get_args(option)
        if isinstance(step, int) and origin in (list, tuple) and arguments:
            each = origin is tuple and arguments[-1] is not Ellipsis
            return arguments[min(step, len(arguments) - 1)] if each else arguments[0]
        if isinstance(step, str) and origin is dict:
            return arguments[1]
    return None
