"""A written document as a tree whose every key and value knows where it stands.

What a plain scalar means is decided here, by YAML 1.2's core rules. The tree is changed only while a configuration is
being read: variables, secrets and profile defaults are laid into it, each with its own place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")


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
class ScalarNode:
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
class MappingNode:
    place: Place
    entries: dict[str, Tree] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)


@dataclass
class SequenceNode:
    place: Place
    items: list[Tree] = field(default_factory=list)


Tree = ScalarNode | MappingNode | SequenceNode
Route = tuple[str | int, ...]
"""Keys and indexes from the top of a tree to one of its nodes."""


def data(tree: Tree) -> object:
    """The tree as plain dicts, lists and values."""
    match tree:
        case MappingNode():
            return {key: data(value) for key, value in tree.entries.items()}
        case SequenceNode():
            return [data(item) for item in tree.items]
        case ScalarNode():
            return tree.value


def at(tree: Tree, path: Route) -> Tree | None:
    """The node at ``path``; None where there is none."""
    node: Tree | None = tree
    for step in path:
        if isinstance(node, MappingNode) and isinstance(step, str):
            node = node.entries.get(step)
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
        else:
            return None
    return node


def place_of(tree: Tree, path: Route) -> Place:
    """Where the key of ``path`` stands, or its nearest ancestor that was written."""
    place, node = tree.place, tree
    for step in path:
        if isinstance(node, MappingNode) and isinstance(step, str) and step in node.entries:
            place, node = node.keys[step], node.entries[step]
        elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            place = node.place
        else:
            break
    return place


def dotted(path: Route) -> str:
    """``sinks[0].url``"""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step[:60]}" for step in path)
    return text.removeprefix(".")
