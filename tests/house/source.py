"""The package's own text, read once: what the guards of the house look at."""

from __future__ import annotations

import ast
import re
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
_NAMED = re.compile(r"watchtower(\.\w+)+(:\w+)?")
_CHOOSING = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.BoolOp, ast.match_case)


class Module:
    """One file of Python. Its tree is walked once and let go of: what is kept of it is small."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = path.relative_to(ROOT).as_posix()
        """As people write it: ``watchtower/storage/head.py``."""
        parts = path.relative_to(ROOT).with_suffix("").parts
        self.name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        """As Python imports it."""

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def _said(self) -> _Said:
        said = _Said(self.place)
        for node in ast.walk(ast.parse(self.text)):
            said.note(node)
        return said

    @property
    def imports(self) -> set[str]:
        """Dotted names of everything that is imported anywhere in it; ``from a import b`` names both a and a.b."""
        return self._said.imports

    @property
    def named(self) -> set[str]:
        """Modules that its strings name, as the catalogue does: ``watchtower.sinks.log:LogSink``."""
        return self._said.named

    @property
    def functions(self) -> list[Function]:
        return self._said.functions

    @property
    def classes(self) -> list[str]:
        return self._said.classes

    @property
    def bound(self) -> list[tuple[str, int]]:
        """Every name that the file gives to something, with its line: variables, arguments, functions, attributes."""
        return self._said.bound

    @property
    def branches(self) -> int:
        """Places where the file chooses: what a test can go through more than one way."""
        return self._said.branches


class Function(NamedTuple):
    place: str
    lines: int


class _Said:
    """What the guards ask of a tree."""

    def __init__(self, place: str) -> None:
        self._place = place
        self.imports: set[str] = set()
        self.named: set[str] = set()
        self.functions: list[Function] = []
        self.classes: list[str] = []
        self.bound: list[tuple[str, int]] = []
        self.branches = 0

    def note(self, node: ast.AST) -> None:
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                self.bound.append((name, node.lineno))
            case ast.Constant(value=str(text)) if _NAMED.fullmatch(text):
                self.named.add(text.partition(":")[0])
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                self.bound.append((name, node.lineno))
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                self.functions.append(Function(f"{self._place}: {name}", lines))
            case ast.ClassDef(name=name):
                self.bound.append((name, node.lineno))
                self.classes.append(name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                self.bound.append((name, node.lineno))
            case ast.Import(names=aliases):
                self.imports.update(alias.name for alias in aliases)
            case ast.ImportFrom(module=str(source), names=aliases):
                self.imports.add(source)
                self.imports.update(f"{source}.{alias.name}" for alias in aliases)
            case _:
                pass
        self.branches += isinstance(node, _CHOOSING) or (isinstance(node, ast.comprehension) and bool(node.ifs))


@cache
def modules(*folders: str) -> tuple[Module, ...]:
    """Every file below these folders of the repository, ``watchtower`` by default. Read once."""
    return tuple(found for folder in folders or ("watchtower",) for found in _below(folder))


@cache
def _below(folder: str) -> tuple[Module, ...]:
    return tuple(Module(path) for path in sorted((ROOT / folder).rglob("*.py")))


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of names that reach each other (Tarjan), each sorted."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            place = stack.index(name)
            group = stack[place:]
            del stack[place:]
            if len(group) > 1:
                found.append(sorted(group))

    for name in graph:
        if name not in index:
            visit(name)
    return sorted(found)
