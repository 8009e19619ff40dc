"""YAML text → a small tree in which every key and value knows its line and column.

PyYAML composes the nodes; what they mean is decided here, by YAML 1.2's rules and not 1.1's: only ``true`` and
``false`` are booleans, ``off`` and ``12:30`` are text. Duplicate keys, tags, self-reference and floods of aliases are
mistakes. Bounded in bytes, nodes and depth; whatever the bytes, the only exception is ``BadInput``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from watchtower.vocabulary.errors import BadInput, Problem

LARGEST = 512 * 1024
"""Bytes of one file."""
MOST_NODES = 20_000
"""After aliases are followed: an alias bomb ends here."""
DEEPEST = 50

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_CORE = ("str", "int", "float", "bool", "null", "timestamp", "merge", "value", "map", "seq")
_IMPLICIT = {f"tag:yaml.org,2002:{name}" for name in _CORE}


@dataclass(frozen=True)
class Place:
    """Where something was written. ``line`` 0: not in a file (an environment variable, a flag)."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}" if self.line else self.source

    def exact(self) -> str:
        """With the column."""
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


@dataclass(frozen=True)
class Scalar:
    """A single value as it was written."""

    text: str
    place: Place
    plain: bool = True
    """Not quoted, not a block: may mean a number, a boolean or nothing."""
    raw: str = ""
    """The same, as it stands in the file: quotes, line breaks and indentation included."""

    @property
    def value(self) -> str | int | float | bool | None:
        """What it means by YAML 1.2's core rules (decimal integers only; no infinities)."""
        if not self.plain:
            return self.text
        if self.text in ("true", "false"):
            return self.text == "true"
        if self.text in ("", "~", "null"):
            return None
        if len(self.text) <= 40:
            if _INTEGER.fullmatch(self.text):
                return int(self.text)
            if _FLOAT.fullmatch(self.text):
                return float(self.text)
        return self.text

    def locate(self, offset: int) -> str:
        """``file:line:column`` of the character at ``offset`` of ``text``, also inside folded and literal blocks:
        folding changes only white space, so the n-th visible character of both is the same one."""
        if not self.place.line:
            return self.place.exact()
        start = 1 if self.raw[:1] in ("'", '"') else self.raw.find("\n") + 1 if self.raw[:1] in ("|", ">") else 0
        wanted = sum(not character.isspace() for character in self.text[:offset])
        line, column = self.place.line, self.place.column
        seen = 0
        for index, character in enumerate(self.raw):
            if index >= start and not character.isspace():
                if seen == wanted and (offset < len(self.text)):
                    break
                seen += 1
                if seen == wanted and offset >= len(self.text):
                    column += 1
                    break
            line, column = (line + 1, 1) if character == "\n" else (line, column + 1)
        return f"{self.place.source}:{line}:{column}"


@dataclass
class Mapping:
    place: Place
    entries: dict[str, Tree] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)


@dataclass
class Sequence:
    place: Place
    items: list[Tree] = field(default_factory=list)


Tree = Scalar | Mapping | Sequence
Route = tuple[str | int, ...]
"""Keys and indexes from the top of a tree to one of its nodes."""


def data(tree: Tree) -> object:
    """The tree as plain dicts, lists and values."""
    match tree:
        case Mapping():
            return {key: data(value) for key, value in tree.entries.items()}
        case Sequence():
            return [data(item) for item in tree.items]
        case Scalar():
            return tree.value


def at(tree: Tree, path: Route) -> Tree | None:
    """The node at ``path``; None where there is none."""
    node: Tree | None = tree
    for step in path:
        if isinstance(node, Mapping) and isinstance(step, str):
            node = node.entries.get(step)
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
        else:
            return None
    return node


def place_of(tree: Tree, path: Route) -> Place:
    """Where the key of ``path`` stands, or its nearest ancestor that was written."""
    place, node = tree.place, tree
    for step in path:
        if isinstance(node, Mapping) and isinstance(step, str) and step in node.entries:
            place, node = node.keys[step], node.entries[step]
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            place = node.place
        else:
            break
    return place


def dotted(path: Route) -> str:
    """``sinks[0].url``"""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step[:60]}" for step in path)
    return text.removeprefix(".")


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
    if not isinstance(tree, Mapping) and not walk.problems:
        kind = "a list" if isinstance(tree, Sequence) else "a single value"
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
            return Scalar("", place)
        if node.tag not in _IMPLICIT:
            self._problem(place, path, "tags (!…) are not used here", "remove the tag")
            return Scalar("", place)
        if isinstance(node, yaml.ScalarNode):
            raw = self._text[node.start_mark.index : node.end_mark.index]
            return Scalar(node.value, place, plain=node.style is None, raw=raw)
        self._inside.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return Sequence(place, [self.tree(item, (*path, index)) for index, item in enumerate(node.value)])
            return self._mapping(node, place, path)
        finally:
            self._inside.discard(id(node))

    def _mapping(self, node: yaml.Node, place: Place, path: Route) -> Mapping:
        mapping = Mapping(place)
        merged: list[Mapping] = []
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

    def _merged(self, value: yaml.Node, where: Place, path: Route) -> Iterator[Mapping]:
        for node in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            tree = self.tree(node, (*path, "<<"))
            if isinstance(tree, Mapping):
                yield tree
            else:
                self._problem(where, path, "'<<' merges something that is no mapping", "merge an anchored mapping")

    def _problem(self, place: Place, path: Route, what: str, cure: str) -> None:
        self.problems.append(Problem(place.exact(), dotted(path), what, cure))
