"""YAML text → a small tree in which every key and value knows its line and column.

PyYAML composes the nodes; what they mean is decided by ``tree``, with YAML 1.2 and not 1.1: only ``true`` and
``false`` are booleans, ``off`` and ``12:30`` are text. Duplicate keys, tags, self-reference and floods of aliases are
mistakes. Bounded in bytes, nodes and depth; whatever the bytes, the only exception is ``BadInput``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from watchtower.configuration.tree import MappingNode, Place, Route, ScalarNode, SequenceNode, Tree, dotted
from watchtower.vocabulary.errors import BadInput, Problem

LARGEST = 512 * 1024
"""Bytes of one file."""
MOST_NODES = 20_000
"""After aliases are followed: an alias bomb ends here."""
DEEPEST = 50

_CORE = ("str", "int", "float", "bool", "null", "timestamp", "merge", "value", "map", "seq")
_IMPLICIT = {f"tag:yaml.org,2002:{name}" for name in _CORE}


def read_file(path: Path, name: str = "") -> Tree:
    """Read and parse a file; ``name`` is what people call it. Raises BadInput."""
    name = name or str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as problem:
        what = problem.strerror or type(problem).__name__
        raise BadInput(
            [Problem(name, "", f"cannot be read: {what}", "check the path and its permissions")]
        ) from problem
    return read_yaml(raw, name)


def read_yaml(raw: bytes | str, source: str) -> Tree:
    """Parse one YAML document whose top is a mapping. Raises BadInput with place and cure."""
    text = _decoded(raw, source)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as problem:
        raise BadInput([_translated(problem, source)]) from problem
    except yaml.reader.ReaderError as problem:
        place = _place_in(text, problem.position, source)
        found = f"the character U+{ord(str(text[problem.position])):04X} is not allowed in YAML"
        raise BadInput([Problem(place.exact(), "", found, "remove it; in double quotes write it as \\u…")]) from problem
    except RecursionError as problem:
        raise BadInput([_too_deep(Place(source, 1, 1))]) from problem
    except (ValueError, OverflowError, IndexError) as problem:
        # PyYAML lets these out for broken \x and \U escapes and %YAML directives.
        what = "an escape or directive that YAML does not know"
        raise BadInput([Problem(source, "", what, "write the character itself")]) from problem
    if node is None:
        raise BadInput([Problem(f"{source}:1:1", "", "the file is empty", "begin it with: version: 1")])
    walk = _Walk(source, text)
    tree = walk.tree(node, ())
    if not isinstance(tree, MappingNode) and not walk.problems:
        kind = "a list" if isinstance(tree, SequenceNode) else "a single value"
        walk.problems.append(
            Problem(tree.place.exact(), "", f"{kind} stands at the top", "write fields, as in: version: 1")
        )
    if walk.problems:
        raise BadInput(walk.problems)
    return tree


def _decoded(raw: bytes | str, source: str) -> str:
    if len(raw) > LARGEST:
        raise BadInput([Problem(source, "", f"larger than {LARGEST // 1024} KiB", "is this the right file?")])
    if isinstance(raw, str):
        return raw
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        before = raw[: problem.start]
        place = Place(source, before.count(b"\n") + 1, problem.start - (before.rfind(b"\n") + 1) + 1)
        raise BadInput([Problem(place.exact(), "", "not UTF-8 text", "save the file as UTF-8")]) from None


def _place_in(text: str, position: int, source: str) -> Place:
    before = text[:position]
    return Place(source, before.count("\n") + 1, position - before.rfind("\n"))


def _place(mark: yaml.Mark | None, source: str) -> Place:
    return Place(source, mark.line + 1, mark.column + 1) if mark else Place(source)


def _too_deep(place: Place) -> Problem:
    return Problem(place.exact(), "", f"nested more than {DEEPEST} deep", "flatten it")


def _translated(problem: yaml.MarkedYAMLError, source: str) -> Problem:
    """A scanner's complaint in words for people. Only what is certain is translated; never quotes the file."""
    said, context = str(problem.problem or ""), str(problem.context or "")
    place = _place(problem.problem_mark or problem.context_mark, source)
    opened = _place(problem.context_mark, source)
    if "'\\t'" in said or "\\t" in said:
        return Problem(place.exact(), "", "a tab where YAML wants spaces", "indent with spaces")
    if "quoted scalar" in context and ("end of stream" in said or "document separator" in said):
        return Problem(opened.exact(), "", "the quote opened here is never closed", "close it")
    if "unknown escape character" in said:
        return Problem(place.exact(), "", "an unknown escape in double quotes", "write \\\\, or use single quotes")
    if "mapping values are not allowed" in said:
        return Problem(place.exact(), "", "a ':' where no key can stand", "check the indentation, or quote the value")
    if "undefined alias" in said:
        return Problem(place.exact(), "", "an alias (*name) without its anchor", "quote the value if it begins with *")
    if "could not find expected ':'" in said:
        return Problem(place.exact(), "", "a key without its ':'", "write key: value")
    if "expected a single document" in context:
        return Problem(place.exact(), "", "a second document begins here", "keep one document in one file")
    if "flow sequence" in context or "flow mapping" in context:
        return Problem(opened.exact(), "", "the bracket opened here is never closed properly", "close it; check commas")
    if "block mapping" in context or "block collection" in context:
        return Problem(place.exact(), "", "the indentation does not fit the lines above", "align it with its siblings")
    return Problem(place.exact(), "", f"not YAML: {said[:120]}", "quote the value if it is meant as text")


class _Walk:
    """Nodes → tree; collects problems instead of stopping at the first."""

    def __init__(self, source: str, text: str) -> None:
        self.problems: list[Problem] = []
        self._source, self._text = source, text
        self._nodes = 0
        self._inside: set[int] = set()

    def tree(self, node: yaml.Node, path: Route) -> Tree:
        place = _place(node.start_mark, self._source)
        self._nodes += 1
        if self._nodes > MOST_NODES:
            what = f"more than {MOST_NODES} values after following aliases"
            raise BadInput([*self.problems, Problem(place.exact(), dotted(path), what, "write fewer aliases")])
        if len(path) > DEEPEST:
            raise BadInput([*self.problems, _too_deep(place)])
        if id(node) in self._inside:
            self._problem(place, path, "contains itself through an alias", "write the value out")
            return ScalarNode("", place)
        if node.tag not in _IMPLICIT:
            self._problem(place, path, "tags (!…) are not used here", "remove the tag")
            return ScalarNode("", place)
        if isinstance(node, yaml.ScalarNode):
            raw = self._text[node.start_mark.index : node.end_mark.index]
            return ScalarNode(node.value, place, plain=node.style is None, raw=raw)
        self._inside.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return SequenceNode(place, [self.tree(item, (*path, index)) for index, item in enumerate(node.value)])
            return self._mapping(node, place, path)
        finally:
            self._inside.discard(id(node))

    def _mapping(self, node: yaml.Node, place: Place, path: Route) -> MappingNode:
        mapping = MappingNode(place)
        merged: list[MappingNode] = []
        for key, value in node.value:
            where = _place(key.start_mark, self._source)
            if not isinstance(key, yaml.ScalarNode):
                self._problem(where, path, "a list or mapping stands as a key", "keys are single words")
            elif key.tag == "tag:yaml.org,2002:merge":
                merged.extend(self._merged(value, where, path))
            elif key.value in mapping.entries:
                first = mapping.keys[key.value]
                self._problem(where, (*path, key.value), f"written twice (first in line {first.line})", "keep one")
            else:
                mapping.entries[key.value] = self.tree(value, (*path, key.value))
                mapping.keys[key.value] = where
        for other in merged:
            for name, tree in other.entries.items():
                if name not in mapping.entries:
                    mapping.entries[name], mapping.keys[name] = tree, other.keys[name]
        return mapping

    def _merged(self, value: yaml.Node, where: Place, path: Route) -> Iterator[MappingNode]:
        for node in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            tree = self.tree(node, (*path, "<<"))
            if isinstance(tree, MappingNode):
                yield tree
            else:
                self._problem(where, path, "'<<' merges something that is no mapping", "merge an anchored mapping")

    def _problem(self, place: Place, path: Route, what: str, cure: str) -> None:
        self.problems.append(Problem(place.exact(), dotted(path), what, cure))
