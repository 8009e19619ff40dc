"""Which settings stand in which socket: those of the kind that the document names, as the catalogue knows it.

``Settings`` knows of a plug-in only what the house reads. Here it gets, for one document, the kinds' own settings in
their places. Everything else of this room then checks one model, and a plug-in's knobs have places, cures, variables
and ``*_file`` companions like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import ConfigDict, Field, create_model

from watchtower.catalogue import kinds, settings_of
from watchtower.configuration.tree import MappingNode, Route, ScalarNode, SequenceNode, Tree, at, dotted, place_of
from watchtower.knobs import Mistake, PluginGroup, Socket
from watchtower.settings import Settings
from watchtower.vocabulary.errors import BadInput, Problem


class _Unresolved(PluginGroup):
    """Stands where no kind could be found, so that the one mistake is told once."""

    model_config = ConfigDict(extra="allow")
    kind: Any = None


class _Slot(NamedTuple):
    """A field of ``Settings`` that takes plug-ins."""

    name: str
    house: type[PluginGroup]
    """What the house knows of them."""
    many: bool


def composed(tree: Tree) -> tuple[type[Settings], list[Problem]]:
    """``Settings`` as ``tree`` needs it, and what is wrong with the kinds it names."""
    problems: list[Problem] = []

    def chosen(slot: _Slot, route: Route) -> type[PluginGroup]:
        try:
            return _chosen(slot, tree, route)
        except BadInput as mistake:
            problems.extend(mistake.problems)
            return _Unresolved

    types: list[Any] = []
    for slot in _slots():
        node = at(tree, (slot.name,))
        if isinstance(node, SequenceNode) and slot.many:
            each = tuple(chosen(slot, (slot.name, index)) for index in range(len(node.items)))
            types.append(tuple[each] if each else tuple[()])  # type: ignore[valid-type]
        else:
            types.append(Settings.model_fields[slot.name].annotation if slot.many else chosen(slot, (slot.name,)))
    return _with(tuple(types)), problems


def every_kind() -> type[Settings]:
    """``Settings`` with every kind that can be loaded in each socket: for the schema."""
    types: list[Any] = []
    for slot in _slots():
        groups = tuple(_loadable(slot.house.socket))
        by_kind = all(get_origin(group.model_fields["kind"].annotation) is Literal for group in groups)
        one_of: Any = Union[groups]  # noqa: UP007 - as many as there are
        if len(groups) > 1 and by_kind and slot.house.model_fields["kind"].is_required():
            one_of = Annotated[one_of, Field(discriminator="kind")]
        types.append(tuple[one_of, ...] if slot.many else one_of)
    return _with(tuple(types))


def _loadable(socket: Socket) -> Iterator[type[PluginGroup]]:
    for kind in kinds(socket):
        with suppress(BadInput):  # somebody else's, broken: told where its kind is used
            yield settings_of(socket, kind)


def plugin_mistakes(settings: Settings, tree: Tree) -> list[Problem]:
    """What each plug-in says of its own settings, with the places."""
    groups: list[tuple[Route, PluginGroup]] = []
    for slot in _slots():
        value = getattr(settings, slot.name)
        groups += (
            [((slot.name, index), group) for index, group in enumerate(value)] if slot.many else [((slot.name,), value)]
        )
    return [
        _problem(tree, (*route, *below), what, cure)
        for route, group in groups
        for below, what, cure in _own_mistakes(group)
    ]


def _own_mistakes(group: PluginGroup) -> list[Mistake]:
    try:
        return list(group.mistakes())
    except Exception as problem:  # somebody else's code: whatever it raises, the cure is theirs
        what = f"kind {group.kind} cannot check its settings: {type(problem).__name__}"
        return [Mistake((), what, f"mend {type(group).__module__}, which brings it")]


def _slots() -> Iterator[_Slot]:
    for name, field in Settings.model_fields.items():
        many = get_origin(field.annotation) is tuple
        shape = get_args(field.annotation)[0] if many else field.annotation
        if isinstance(shape, type) and issubclass(shape, PluginGroup):
            yield _Slot(name, shape, many)


def _chosen(slot: _Slot, tree: Tree, route: Route) -> type[PluginGroup]:
    """The settings of the kind that stands at ``route``. Raises BadInput."""
    node = at(tree, route)
    if node is not None and not isinstance(node, MappingNode):
        return slot.house  # no group of fields at all, which validation says
    kind = node.entries.get("kind") if node else None
    place = (*route, "kind")
    if kind is None:
        default = slot.house.model_fields["kind"]
        if default.is_required():
            raise BadInput([_problem(tree, route, "kind is missing", "say which kind it is, e.g. kind: log")])
        return settings_of(slot.house.socket, default.default)
    if not isinstance(kind, ScalarNode):
        raise BadInput([_problem(tree, place, "not text", "put it in quotes")])
    if kind.value is None:
        raise BadInput([_problem(tree, place, "nothing is written here", "write its value, or remove the line")])
    try:
        return settings_of(slot.house.socket, kind.text)
    except BadInput as unknown:
        raise BadInput([_problem(tree, place, problem.what, problem.cure) for problem in unknown.problems]) from unknown


@cache
def _with(types: tuple[Any, ...]) -> type[Settings]:
    """``Settings`` with these types in its sockets; what is not written is the default kind of its own type."""
    fields: dict[str, Any] = {}
    for slot, shape in zip(_slots(), types, strict=True):
        field = Settings.model_fields[slot.name]
        fields[slot.name] = (shape, Field(default=_default(field.default), description=field.description))
    return create_model(Settings.__name__, __base__=Settings, __doc__=Settings.__doc__, **fields)


def _default(groups: PluginGroup | Sequence[PluginGroup]) -> Any:
    if isinstance(groups, PluginGroup):
        written = groups.model_dump(exclude_unset=True)
        return settings_of(groups.socket, groups.kind).model_validate(written)
    return tuple(_default(group) for group in groups)


def _problem(tree: Tree, route: Route, what: str, cure: str) -> Problem:
    return Problem(str(place_of(tree, route)), dotted(route), what, cure)
